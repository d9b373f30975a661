// A runtime on Debian's libcni, so that lifecycle can be held against it:
//
//	libcni add|check|del CONFLIST CONTAINER NETNS PLUGINS CACHE
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/containernetworking/cni/libcni"
)

func main() {
	if err := operate(os.Args[1], os.Args[2], os.Args[5], os.Args[6], &libcni.RuntimeConf{
		ContainerID:    os.Args[3],
		NetNS:          os.Args[4],
		IfName:         "eth0",
		Args:           [][2]string{{"IgnoreUnknown", "1"}, {"NOTE", "<a&b>"}},
		CapabilityArgs: map[string]interface{}{"mac": "c2:11:22:33:44:55"},
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func operate(verb, conflist, plugins, cache string, runtime *libcni.RuntimeConf) error {
	network, err := libcni.ConfListFromFile(conflist)
	if err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cni := libcni.NewCNIConfigWithCacheDir([]string{plugins}, cache, nil)
	switch verb {
	case "add":
		_, err = cni.AddNetworkList(deadline, network, runtime)
	case "check":
		err = cni.CheckNetworkList(deadline, network, runtime)
	case "del":
		err = cni.DelNetworkList(deadline, network, runtime)
	default:
		err = fmt.Errorf("unknown verb %q", verb)
	}
	return err
}
