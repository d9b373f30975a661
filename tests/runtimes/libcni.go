// A runtime in a few lines on top of libcni, for tests/tests/runtime_libcni.rs.
//
//	libcni add|check|del CONFLIST ID NETNS
//
// CNI_PATH says where plugins are, CNI_CACHE where results are kept, CNI_CAPABILITIES may hold a JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("four words are needed: verb, conflist, id, netns"))
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func run(verb, file, id, netns string) error {
	list, err := libcni.ConfListFromFile(file)
	if err != nil {
		return err
	}
	runtime := &libcni.RuntimeConf{ContainerID: id, NetNS: netns, IfName: "eth0"}
	runtime.Args = [][2]string{{"IgnoreUnknown", "1"}, {"K8S_POD_NAME", id}}
	if text := os.Getenv("CNI_CAPABILITIES"); text != "" {
		if err := json.Unmarshal([]byte(text), &runtime.CapabilityArgs); err != nil {
			return err
		}
	}
	plugins := filepath.SplitList(os.Getenv("CNI_PATH"))
	cni := libcni.NewCNIConfigWithCacheDir(plugins, os.Getenv("CNI_CACHE"), nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch verb {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, runtime)
		if err != nil {
			return err
		}
		return result.Print()
	case "check":
		return cni.CheckNetworkList(ctx, list, runtime)
	case "del":
		return cni.DelNetworkList(ctx, list, runtime)
	}
	return fmt.Errorf("unknown verb %q", verb)
}
