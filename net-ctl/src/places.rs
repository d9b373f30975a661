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

/// Options as the caller gave them, to be repeated in a command that he may try next; a space before each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(String);

impl Given {
    /// Adds an option that was given.
    #[must_use]
    pub(crate) fn with(mut self, option: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.0 = format!("{} {option} {}", self.0, quoted(value.as_ref()));
        }
        self
    }

    /// Adds all that another place was given.
    #[must_use]
    pub(crate) fn and(self, Given(more): Given) -> Self {
        Self(self.0 + &more)
    }

    fn path(self, option: &str, path: Option<&PathBuf>) -> Self {
        self.with(option, path.map(|path| path.to_string_lossy()))
    }
}

impl std::fmt::Display for Given {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=:,@+".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

impl NamespacePlace {
    pub(crate) fn given(&self) -> Given {
        let dir = Some(&self.netns_dir).filter(|dir| *dir != Path::new(lifecycle::sandbox::DEFAULT_DIR));
        Given::default().path("--netns-dir", dir)
    }

    pub(crate) fn sandboxes(&self) -> Sandboxes {
        Sandboxes::new(&self.netns_dir)
    }
}

impl CachePlace {
    pub(crate) fn given(&self) -> Given {
        let dir = Some(&self.cache_dir).filter(|dir| *dir != Path::new(lifecycle::cache::DEFAULT_DIR));
        Given::default().path("--cache-dir", dir)
    }
}

impl ConfigPlace {
    pub(crate) fn given(&self) -> Given {
        let Self { config, config_dir } = self;
        Given::default().path("--config", config.as_ref()).path("--config-dir", config_dir.as_ref())
    }

    /// Without the file, which is of one network alone.
    pub(crate) fn given_dir(&self) -> Given {
        Given::default().path("--config-dir", self.config_dir.as_ref())
    }

    pub(crate) fn dir(&self) -> PathBuf {
        let from_environment =
            || std::env::var_os("NETCONFPATH").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        self.config_dir.clone().or_else(from_environment).unwrap_or_else(|| "/etc/cni/net.d".into())
    }
}

impl PluginPlace {
    pub(crate) fn given(&self) -> Given {
        self.plugin_dirs.iter().fold(Given::default(), |given, dir| given.path("--plugin-dir", Some(dir)))
    }

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

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn given_options_can_be_pasted_into_a_shell() {
        let given = Given::default().with("--netns", Some("web")).with("--config", Some("/a b/it's"));
        let given = given.with("--ifname", None::<&str>);
        assert_eq!(given.to_string(), r"--netns web --config '/a b/it'\''s'".replace("--n", " --n"));
    }
}
