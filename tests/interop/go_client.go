// Pushes with client_golang as its documentation says: go_client URL
//
// What must come of it is in sums.txt. Values are dyadic, so that sums are exact in any order.
// Prints the error that a push in the default format, protobuf, ends with.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
)

func registryOfAllTypes() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	jobs := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "go_client_jobs_total", Help: "Jobs done.\nBy queue: \\o/"},
		[]string{"queue"})
	jobs.WithLabelValues("\"\\\nü/λ").Add(1.5)
	files := prometheus.NewGauge(
		prometheus.GaugeOpts{Name: "go_client_files", Help: "Files open."})
	files.Set(5)
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "go_client_job_seconds", Help: "Seconds.", Buckets: []float64{0.5, 1, 2.5}})
	for _, seconds := range []float64{0.25, 1, 2, 64} {
		duration.Observe(seconds)
	}
	batch := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "go_client_batch_bytes", Help: "Bytes of a batch.",
		Objectives: map[float64]float64{0.5: 0.05}})
	batch.Observe(512)
	untyped := prometheus.NewUntypedFunc(
		prometheus.UntypedOpts{Name: "go_client_untyped", Help: "Untyped."},
		func() float64 { return 3 })
	registry.MustRegister(jobs, files, duration, batch, untyped)
	return registry
}

func registryOfTheProcess() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	url := os.Args[1]
	all := registryOfAllTypes()
	process := registryOfTheProcess()

	for pushes := 0; pushes < 2; pushes++ {
		check(push.New(url, "go_push").Format(expfmt.FmtText).Gatherer(all).Push())
		check(push.New(url, "go_default").Format(expfmt.FmtText).Gatherer(process).Add())
	}
	for pushes := 0; pushes < 3; pushes++ {
		check(push.New(url, "go/add").Format(expfmt.FmtText).Gatherer(all).
			Grouping("path", "/tmp").Grouping("empty", "").Grouping("zone", "a&b=1%").
			Add())
	}

	err := push.New(url, "go_protobuf").Gatherer(all).Push()
	if err == nil || !strings.Contains(err.Error(), "status code 415") {
		log.Fatalf("a push in protobuf was not refused with 415, but: %v", err)
	}
	if !strings.Contains(err.Error(), "expfmt.FmtText") {
		log.Fatalf("no hint how to send text in: %v", err)
	}
	fmt.Printf("protobuf is refused: %s\n", strings.TrimSpace(err.Error()))
}
