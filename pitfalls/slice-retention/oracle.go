// The same two programs in Go: 16-byte windows into 1 MiB buffers, kept or copied.
//
//	go run oracle.go
package main

import (
	"fmt"
	"runtime"
	"time"
)

const (
	windows = 16
	windowB = 16
	parentB = 1 << 20
)

var kept [windows][]byte

//go:noinline
func readBuffer() []byte {
	buffer := make([]byte, parentB)
	for i := range buffer {
		buffer[i] = 1
	}
	return buffer
}

//go:noinline
func bad() (work int) {
	for i := range kept {
		kept[i] = readBuffer()[:windowB]
		work += len(kept[i])
	}
	return work
}

//go:noinline
func fixed() (work int) {
	for i := range kept {
		kept[i] = append([]byte{}, readBuffer()[:windowB]...)
		work += len(kept[i])
	}
	return work
}

func live() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func measure(variant string, run func() int) {
	kept = [windows][]byte{}
	before := live()
	start := time.Now()
	work := run()
	elapsed := time.Since(start)
	retained := live() - before
	runtime.KeepAlive(&kept)
	fmt.Printf(`{"v":1,"pitfall":"slice-retention","variant":%q,"n":%d,"ops":1,"work":%d,`+
		`"time_ns":%d,"retained_b":%d}`+"\n",
		variant, parentB, work, elapsed.Nanoseconds(), retained)
}

func main() {
	measure("bad", bad)
	measure("fixed", fixed)
}
