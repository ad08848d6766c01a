# Pushes the numbers twice as Net::Prometheus renders them, which leaves the push to its user:
# perl_client.pl URL NUMBERS JOB

use strict;
use warnings;
use Encode qw(decode encode);
use HTTP::Tiny;
use Net::Prometheus;

my ($url, $file, $job) = @ARGV;

# The records of the file end with NUL, their fields are divided by tabs.
sub read_numbers {
    open my $stream, '<:raw', $file or die "Error: $file: $!\n";
    local $/ = "\0";
    chomp(my @records = <$stream>);
    return map { [split /\t/, decode('UTF-8', $_)] } @records;
}

my $prometheus = Net::Prometheus->new(disable_process_collector => 1, disable_perl_collector => 1);
my $jobs = $prometheus->new_counter(
    name => 'interop_jobs_total', help => 'Jobs done.', labels => ['queue'],
);
my $level = $prometheus->new_gauge(name => 'interop_level', help => 'Level.', labels => ['place']);
my $seconds = $prometheus->new_histogram(
    name => 'interop_job_seconds', help => 'Seconds.', labels => ['route'],
    buckets => [0.5, 1, 2.5],
);
for my $number (read_numbers()) {
    my ($kind, $label, $value) = @$number;
    if ($kind eq 'counter') { $jobs->inc($label, $value) }
    elsif ($kind eq 'gauge') { $level->set($label, $value) }
    else { $seconds->observe($label, $value) }
}

my $http = HTTP::Tiny->new(timeout => 10);
for (1 .. 2) {
    my $response = $http->post("$url/metrics/job/$job", {
        headers => { 'Content-Type' => 'text/plain; version=0.0.4; charset=utf-8' },
        content => encode('UTF-8', $prometheus->render),
    });
    die "Error: $response->{status} $response->{content}\n" if $response->{status} != 200;
}
