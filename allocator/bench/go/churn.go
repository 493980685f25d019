package main

import "time"

var churnTable []*cell

// churn: see churn.c.
func churn() {
	const batch = 500
	liveMB, wanted, turnover, fixed := 100.0, 10.0, 1.0, 0.0
	readOptions(option{"--live-mb", &liveMB, "of live objects, in 10^6 bytes"},
		option{"--seconds", &wanted, "of the timed region, at least"},
		option{"--turnover", &turnover, "times that the live data are replaced, at least"},
		option{"--batches", &fixed, "instead of both: so many batches of 500 operations"})
	random := rng{seed}
	checksum, unused, batches := uint64(0), uint64(0), uint64(0)
	latency := new(histogram)
	n := int(liveMB*1e6/chainMeanB) + 1
	churnTable = makeTable(n, &random)
	for i := 0; i < n/4; i++ {
		checksum += replaceChain(churnTable, &random)
	}
	start()
	last := time.Now()
	until := last.Add(time.Duration(wanted * 1e9))
	least := turnover * float64(n) / batch
	if fixed > 0 {
		least, until = fixed, last
	}
	for last.Before(until) || float64(batches) < least {
		for i := 0; i < batch; i++ {
			unused += replaceChain(churnTable, &random)
		}
		now := time.Now()
		latency.add(uint64(now.Sub(last)))
		last = now
		batches++
	}
	stop()
	sink = unused
	metric("ops_per_s", float64(batches*batch)/seconds())
	metric("batch_p999_ns", latency.quantile(0.999))
	metric("batch_max_ns", latency.quantile(1))
	metric("batch_p50_ns", latency.quantile(0.5))
	end(checksum)
}
