// Pushes with client_golang as its documentation says: go_client URL NUMBERS JOB
//
// The job says how the numbers are pushed, twice. The job "examples" pushes all types of metrics
// in the ways that are listed in sums.txt; values are dyadic there, so that sums are exact in any
// order.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
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
		log.Fatalf("Error: %v", err)
	}
}

func pushExamples(url string) {
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
	check(push.New(url, "go_protobuf").Gatherer(all).Push())
	fmt.Println("8 pushes, the last one in protobuf")
}

// Adds the numbers of the file: records that end with NUL, of three fields divided by tabs.
func registryOf(file string) *prometheus.Registry {
	jobs := prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "interop_jobs_total", Help: "Jobs done."}, []string{"queue"})
	level := prometheus.NewGaugeVec(
		prometheus.GaugeOpts{Name: "interop_level", Help: "Level."}, []string{"place"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "interop_job_seconds", Help: "Seconds.", Buckets: []float64{0.5, 1, 2.5},
	}, []string{"route"})
	exemplar := prometheus.Labels{"trace_id": "ü"}

	text, err := os.ReadFile(file)
	check(err)
	for _, record := range strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00") {
		fields := strings.Split(record, "\t")
		kind, label := fields[0], fields[1]
		value, err := strconv.ParseFloat(fields[2], 64)
		check(err)
		switch kind {
		case "counter":
			jobs.WithLabelValues(label).(prometheus.ExemplarAdder).AddWithExemplar(value, exemplar)
		case "gauge":
			level.WithLabelValues(label).Set(value)
		default:
			seconds.WithLabelValues(label).(prometheus.ExemplarObserver).
				ObserveWithExemplar(value, exemplar)
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobs, level, seconds)
	return registry
}

func main() {
	url, numbers, job := os.Args[1], os.Args[2], os.Args[3]
	if job == "examples" {
		pushExamples(url)
		return
	}
	registry := registryOf(numbers)
	for pushes := 0; pushes < 2; pushes++ {
		pusher := push.New(url, job).Gatherer(registry)
		switch job {
		case "go-protobuf": // the default
			check(pusher.Push())
		case "go-text":
			check(pusher.Format(expfmt.FmtText).Push())
		case "go-openmetrics":
			check(pusher.Format(expfmt.FmtOpenMetrics).Add())
		default:
			log.Fatalf("Error: no such job: %s", job)
		}
	}
}
