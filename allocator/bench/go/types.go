package main

import "sync"

func appendNumbers(n uint64) uint64 {
	var s []uint64
	for i := uint64(0); i < n; i++ {
		s = append(s, i)
	}
	return uint64(len(s)) + s[n-1]
}

func keyOf(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 }

func useMap(n uint64) uint64 {
	m := map[uint64]uint64{}
	sum := uint64(0)
	for i := uint64(0); i < n; i++ {
		m[keyOf(i)] = i
	}
	for i := uint64(0); i < n; i++ {
		sum += m[keyOf(i)]
	}
	for i := uint64(0); i < n; i++ {
		delete(m, keyOf(i))
	}
	return sum + uint64(len(m))
}

func useChannel(n uint64) uint64 {
	channel := make(chan uint64)
	received := uint64(0)
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		for i := uint64(0); i < n; i++ {
			channel <- i
		}
		close(channel)
		both.Done()
	}()
	go func() {
		for value := range channel {
			received += value
		}
		both.Done()
	}()
	both.Wait()
	return received
}

var calls uint64

func count(n uint64) { calls += n }

//go:noinline
func deferSome() {
	for i := 0; i < 10; i++ {
		defer count(1)
	}
}

func useDefer(n uint64) uint64 {
	for i := uint64(0); i < n/10; i++ {
		deferSome()
	}
	return calls
}

var items = sync.Pool{New: func() any { return new([1024]byte) }}

func usePool(n uint64) uint64 {
	var both sync.WaitGroup
	both.Add(2)
	for i := 0; i < 2; i++ {
		go func() {
			for i := uint64(0); i < n; i++ {
				item := items.Get().(*[1024]byte)
				item[0]++
				items.Put(item)
			}
			both.Done()
		}()
	}
	both.Wait()
	return n
}

// types: see types.c.
func types() {
	var n [5]float64
	readOptions(option{"--append", &n[0], "elements"}, option{"--map", &n[1], "keys"},
		option{"--channel", &n[2], "values"}, option{"--defer", &n[3], "calls"},
		option{"--pool", &n[4], "items for each of two threads"})
	checksum, operations := uint64(0), 0.0
	start()
	for i, use := range []func(uint64) uint64{appendNumbers, useMap, useChannel, useDefer, usePool} {
		if n[i] > 0 {
			checksum += use(uint64(n[i]))
			operations += n[i]
		}
	}
	stop()
	if operations == 0 {
		fail("nothing to do: give one of the options")
	}
	metric("ns_per_op", seconds()*1e9/operations)
	end(checksum)
}
