// Pushes the numbers twice with prometheus-cpp as its documentation says:
// cpp_client URL NUMBERS JOB
//
// Its Push is POST and its PushAdd is PUT, the other way round than in other libraries.

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/gateway.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;
using prometheus::Registry;

// The records of the file end with NUL, their fields are divided by tabs.
std::shared_ptr<Registry> ReadRegistry(const std::string& file) {
  auto registry = std::make_shared<Registry>();
  auto& jobs =
      BuildCounter().Name("interop_jobs_total").Help("Jobs done.").Register(*registry);
  auto& level = BuildGauge().Name("interop_level").Help("Level.").Register(*registry);
  auto& seconds =
      BuildHistogram().Name("interop_job_seconds").Help("Seconds.").Register(*registry);
  std::ifstream stream(file);
  for (std::string record; std::getline(stream, record, '\0');) {
    std::istringstream fields(record);
    std::string kind, label, value;
    std::getline(fields, kind, '\t');
    std::getline(fields, label, '\t');
    std::getline(fields, value, '\t');
    const double number = std::stod(value);
    if (kind == "counter") {
      jobs.Add({{"queue", label}}).Increment(number);
    } else if (kind == "gauge") {
      level.Add({{"place", label}}).Set(number);
    } else {
      seconds.Add({{"route", label}}, Histogram::BucketBoundaries{0.5, 1, 2.5}).Observe(number);
    }
  }
  return registry;
}

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: cpp_client URL NUMBERS JOB\n";
    return 2;
  }
  const std::string url = arguments[1], job = arguments[3];
  const auto registry = ReadRegistry(arguments[2]);
  const auto colon = url.rfind(':');
  prometheus::Gateway gateway(url.substr(0, colon), url.substr(colon + 1), job);
  gateway.RegisterCollectable(registry);
  const bool adds = job.size() > 3 && job.substr(job.size() - 3) == "add";
  for (int pushes = 0; pushes < 2; ++pushes) {
    const int status = adds ? gateway.PushAdd() : gateway.Push();
    if (status != 200) {
      std::cerr << "Error: a push was answered with " << status << "\n";
      return 1;
    }
  }
}
