//! Where things lie: configurations, plugins, namespaces, the cache. Options with their defaults.

use std::path::{Path, PathBuf};

use clap::Args;
use lifecycle::sandbox::Sandboxes;
use lifecycle::{Cache, Runtime};

/// Where named namespaces are.
#[derive(Args, Debug)]
pub(crate) struct NamespacePlace {
    /// Directory of the named namespaces
    #[arg(long, value_name = "DIR", default_value = lifecycle::sandbox::DEFAULT_DIR)]
    pub(crate) netns_dir: PathBuf,
}

/// Where attachments are remembered.
#[derive(Args, Debug)]
pub(crate) struct CachePlace {
    /// Directory in which attachments are remembered; container runtimes use the same by default
    #[arg(long, value_name = "DIR", default_value = lifecycle::cache::DEFAULT_DIR)]
    pub(crate) cache_dir: PathBuf,
}

/// Where network configurations are.
#[derive(Args, Debug)]
pub(crate) struct ConfigPlace {
    /// Read the network from this file (.conflist, .conf or .json)
    #[arg(long, value_name = "FILE", conflicts_with = "config_dir")]
    pub(crate) config: Option<PathBuf>,
    /// Look for the network in this directory [default: $NETCONFPATH, else /etc/cni/net.d]
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
}

/// Where plugin binaries are.
#[derive(Args, Debug)]
pub(crate) struct PluginPlace {
    /// Look for plugins here; may be repeated, the first that has one counts [default: $CNI_PATH, else ../cni beside net-ctl, /opt/cni/bin, /usr/lib/cni]
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dirs: Vec<PathBuf>,
}

impl NamespacePlace {
    pub(crate) fn sandboxes(&self) -> Sandboxes {
        Sandboxes::new(&self.netns_dir)
    }
}

impl ConfigPlace {
    pub(crate) fn dir(&self) -> PathBuf {
        let from_environment =
            || std::env::var_os("NETCONFPATH").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        self.config_dir.clone().or_else(from_environment).unwrap_or_else(|| "/etc/cni/net.d".into())
    }
}

impl PluginPlace {
    pub(crate) fn runtime(&self, cache: &CachePlace) -> Runtime {
        Runtime::new(self.dirs(), Cache::new(&cache.cache_dir))
    }

    fn dirs(&self) -> Vec<PathBuf> {
        if !self.plugin_dirs.is_empty() {
            return self.plugin_dirs.clone();
        }
        match std::env::var_os("CNI_PATH").filter(|path| !path.is_empty()) {
            Some(path) => std::env::split_paths(&path).collect(),
            None => {
                built_beside().into_iter().chain(["/opt/cni/bin".into(), "/usr/lib/cni".into()]).collect()
            }
        }
    }
}

/// The plugins of the same build: `dist/cni` for `dist/bin/net-ctl`.
fn built_beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?.canonicalize().ok()?;
    own.parent().and_then(Path::parent).map(|dist| dist.join("cni")).filter(|plugins| plugins.is_dir())
}
