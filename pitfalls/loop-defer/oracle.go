// The same two pairs in Go: buffers and files released by defer at the end of the function, or of
// each iteration.
//
//	go run oracle.go
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

const (
	n       = 3000
	bufferB = 1024
)

var (
	looking  bool
	looked   int
	baseline int64
	heldB    int64
	openFds  int
	released int
)

func live() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// look measures calls number 1, 2, 4, ... of the round that is looked at, and keeps the largest.
func look() {
	if !looking {
		return
	}
	looked++
	if looked&(looked-1) != 0 {
		return
	}
	if held := live() - baseline; held > heldB {
		heldB = held
	}
	if open := descriptors(); open > openFds {
		openFds = open
	}
}

func release(buffer []byte) {
	look()
	released += int(buffer[0])
}

func closeFile(file *os.File) {
	look()
	if file.Close() == nil {
		released++
	}
}

func take() []byte {
	buffer := make([]byte, bufferB)
	for i := range buffer {
		buffer[i] = 1
	}
	return buffer
}

func open() *os.File {
	file, err := os.Open("/dev/null")
	if err != nil {
		panic(err)
	}
	return file
}

func bad() {
	for i := 0; i < n; i++ {
		buffer := take()
		defer release(buffer)
	}
}

func fixed() {
	for i := 0; i < n; i++ {
		func() {
			buffer := take()
			defer release(buffer)
		}()
	}
}

func badFd() {
	for i := 0; i < n; i++ {
		file := open()
		defer closeFile(file)
	}
}

func fixedFd() {
	for i := 0; i < n; i++ {
		func() {
			file := open()
			defer closeFile(file)
		}()
	}
}

func measure(variant string, run func()) {
	run()
	released = 0
	start := time.Now()
	run()
	elapsed := time.Since(start)
	work := released
	before := descriptors()
	baseline, heldB, openFds, looked, looking = live(), 0, 0, 0, true
	run()
	looking = false
	fmt.Printf(`{"v":1,"pitfall":"loop-defer","variant":%q,"n":%d,"ops":%d,"work":%d,`+
		`"time_ns":%d,"held_b":%d,"open_fds":%d}`+"\n",
		variant, n, n, work, elapsed.Nanoseconds(), heldB, openFds-before)
}

func main() {
	measure("bad", bad)
	measure("fixed", fixed)
	measure("bad.fd", badFd)
	measure("fixed.fd", fixedFd)
}
