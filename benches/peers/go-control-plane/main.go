// A server on go-control-plane, to be measured beside Tidegate: `make bench-xds` builds and starts it.
//
// It serves delta and state-of-the-world ADS from go-control-plane's own caches, with the messages
// that `benches/xds/world.rs` describes. Each line on stdin publishes one change; the answer on
// stdout is the time (CLOCK_MONOTONIC, ns) at which the typed message was handed to the cache. It
// ends when stdin does.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The one node of the snapshot cache: all proxies share its snapshot, which is the cache's best case.
const everybody = "everybody"

// Streams on one connection; each proxy has a connection of its own.
const streamsMax = 100

func main() {
	kind := flag.String("cache", "linear", "linear or snapshot")
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	clusters := flag.Int("clusters", 1, "clusters in the world")
	endpoints := flag.Int("endpoints", 10, "endpoints of each cluster")
	flag.Parse()

	world := newWorld(*clusters, *endpoints)
	var publisher publisher
	switch *kind {
	case "linear":
		publisher = newLinear(world)
	case "snapshot":
		publisher = newSnapshots(world)
	default:
		log.Fatalf("--cache %q is neither linear nor snapshot", *kind)
	}

	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	ads := server.NewServer(context.Background(), publisher.cache(), nil)
	grpcServer := grpc.NewServer(grpc.MaxConcurrentStreams(streamsMax))
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, ads)
	go func() { log.Fatal(grpcServer.Serve(socket)) }()
	fmt.Printf("listening %s\n", socket.Addr())

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || words[0] != "publish" {
			log.Fatalf("%q is not `publish KIND NUMBER`", lines.Text())
		}
		number, err := strconv.ParseUint(words[2], 10, 32)
		if err != nil {
			log.Fatal(err)
		}
		at, err := publisher.publish(words[1], uint32(number))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("published %d\n", at)
	}
}

func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		log.Fatal(err)
	}
	return now.Nano()
}

// world is what is served. A message that a cache may still hold is never changed: of each that
// changes there are two, used in turn.
type world struct {
	clusters    []types.Resource
	assignments []types.Resource
	listeners   []types.Resource
	changing    [2]*endpoint.ClusterLoadAssignment
}

func newWorld(clusters, endpoints int) *world {
	w := &world{listeners: []types.Resource{&listener.Listener{
		Name:    "bench",
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: socketAddress("0.0.0.0", 10000)}},
	}}}
	for number := range clusters {
		name := clusterName(number)
		w.clusters = append(w.clusters, &cluster.Cluster{
			Name:                 name,
			ConnectTimeout:       durationpb.New(time.Second),
			ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
			EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{EdsConfig: &core.ConfigSource{
				ResourceApiVersion:    core.ApiVersion_V3,
				ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
			}},
		})
		w.assignments = append(w.assignments, assignment(name, endpoints))
	}
	w.changing = [2]*endpoint.ClusterLoadAssignment{assignment(clusterName(0), endpoints), assignment(clusterName(0), endpoints)}
	return w
}

func clusterName(number int) string { return fmt.Sprintf("service-%05d/v1", number) }

func socketAddress(address string, port uint32) *core.SocketAddress {
	return &core.SocketAddress{Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port}}
}

func assignment(name string, endpoints int) *endpoint.ClusterLoadAssignment {
	all := make([]*endpoint.LbEndpoint, 0, endpoints)
	for number := range endpoints {
		address := fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255)
		all = append(all, &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
			Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: socketAddress(address, 8080)}},
		}}})
	}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: name,
		Endpoints:   []*endpoint.LocalityLbEndpoints{{LbEndpoints: all}},
	}
}

// change is the resource that a publication changes.
func (w *world) change(kind string, number uint32) (resource.Type, string, types.Resource, error) {
	switch kind {
	case "endpoint":
		changed := w.changing[number%2]
		changed.Endpoints[0].LbEndpoints[0].LoadBalancingWeight = wrapperspb.UInt32(number + 1)
		return resource.EndpointType, clusterName(0), changed, nil
	case "route":
		return resource.RouteType, "bench", routes(number), nil
	}
	return "", "", nil, fmt.Errorf("there is no change %q", kind)
}

func routes(number uint32) *route.RouteConfiguration {
	weight := func(name string, weight uint32) *route.WeightedCluster_ClusterWeight {
		return &route.WeightedCluster_ClusterWeight{Name: name, Weight: wrapperspb.UInt32(weight)}
	}
	return &route.RouteConfiguration{
		Name: "bench",
		VirtualHosts: []*route.VirtualHost{{
			Name:    "all",
			Domains: []string{"*"},
			Routes: []*route.Route{{
				Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_WeightedClusters{
					WeightedClusters: &route.WeightedCluster{Clusters: []*route.WeightedCluster_ClusterWeight{
						weight("service-00000/v1", number+1), weight("service-00000/v2", 100),
					}},
				}}},
			}},
		}},
	}
}

type publisher interface {
	cache() cache.Cache
	// publish hands a change to the cache, and says when it did.
	publish(kind string, number uint32) (int64, error)
}

// linear is a cache for each type, behind one that picks by the type of a request.
type linear struct {
	world  *world
	byType map[resource.Type]*cache.LinearCache
}

func newLinear(w *world) *linear {
	named := func(resources []types.Resource) map[string]types.Resource {
		all := make(map[string]types.Resource, len(resources))
		for _, one := range resources {
			all[cache.GetResourceName(one)] = one
		}
		return all
	}
	of := func(kind resource.Type, resources []types.Resource) *cache.LinearCache {
		return cache.NewLinearCache(kind, cache.WithInitialResources(named(resources)))
	}
	return &linear{w, map[resource.Type]*cache.LinearCache{
		resource.ClusterType:  of(resource.ClusterType, w.clusters),
		resource.EndpointType: of(resource.EndpointType, w.assignments),
		resource.ListenerType: of(resource.ListenerType, w.listeners),
		resource.RouteType:    of(resource.RouteType, []types.Resource{routes(0)}),
	}}
}

func (l *linear) cache() cache.Cache {
	caches := make(map[string]cache.Cache, len(l.byType))
	for kind, one := range l.byType {
		caches[kind] = one
	}
	return &cache.MuxCache{
		Classify:      func(request *cache.Request) string { return request.GetTypeUrl() },
		ClassifyDelta: func(request *cache.DeltaRequest) string { return request.GetTypeUrl() },
		Caches:        caches,
	}
}

func (l *linear) publish(kind string, number uint32) (int64, error) {
	typeURL, name, changed, err := l.world.change(kind, number)
	if err != nil {
		return 0, err
	}
	at := monotonic()
	return at, l.byType[typeURL].UpdateResource(name, changed)
}

// snapshots is the cache that most users run; its key is the same for every node.
type snapshots struct {
	world *world
	all   cache.SnapshotCache
	now   map[resource.Type][]types.Resource
}

type oneForAll struct{}

func (oneForAll) ID(*core.Node) string { return everybody }

func newSnapshots(w *world) *snapshots {
	s := &snapshots{w, cache.NewSnapshotCache(true, oneForAll{}, nil), map[resource.Type][]types.Resource{
		resource.ClusterType:  w.clusters,
		resource.EndpointType: w.assignments,
		resource.ListenerType: w.listeners,
		resource.RouteType:    {routes(0)},
	}}
	if err := s.set("initial"); err != nil {
		log.Fatal(err)
	}
	return s
}

func (s *snapshots) cache() cache.Cache { return s.all }

func (s *snapshots) set(version string) error {
	next, err := cache.NewSnapshot(version, s.now)
	if err != nil {
		return err
	}
	return s.all.SetSnapshot(context.Background(), everybody, next)
}

func (s *snapshots) publish(kind string, number uint32) (int64, error) {
	typeURL, _, changed, err := s.world.change(kind, number)
	if err != nil {
		return 0, err
	}
	// What changes stands first in the list of its type.
	s.now[typeURL][0] = changed
	at := monotonic()
	return at, s.set(strconv.FormatUint(uint64(number), 10))
}
