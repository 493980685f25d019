# The library's sources, the only list of them. Paths are relative to allocator/. The compile matrix
# builds all C files as one unit: names of their own (static functions, macros) differ between files.
SPANHEAP_SOURCES := \
	heap/os.c heap/fail.c heap/lock.c heap/meta.c heap/sizeclass.c heap/span.c heap/pages.c \
	heap/pageheap.c heap/central.c heap/cache.c heap/alloc.c heap/free.c heap/watch.c heap/scavenger.c \
	collector/init.c collector/defaults.c collector/settings.c collector/cycle.c collector/triggers.c collector/world.c \
	collector/threads.c collector/threads_real.c collector/fork.c \
	collector/roots.c collector/segments.c collector/mark.c collector/zombie.c collector/workbuf.c collector/regions.c collector/outgoing.c \
	collector/markers.c collector/assist.c collector/background.c collector/pacing.c \
	collector/finalizer.c collector/client.c collector/parked.c collector/barrier.c collector/sweep.c \
	collector/pacer.c collector/pi_controller.c collector/limiter.c collector/sweep_pacer.c collector/scavenge_pacer.c \
	collector/verify.c collector/walk.c collector/reach.c collector/explain.c collector/stress.c \
	collector/registers.S collector/store.S \
	observe/stats.c observe/pauses.c observe/gctrace.c observe/histogram.c \
	observe/events.c observe/trace.c observe/trace_json.c observe/json_text.c \
	observe/symbols.c observe/sites.c observe/exit_file.c \
	observe/sampling.c observe/profile.c observe/profile_read.c \
	observe/pprof.c observe/protobuf.c observe/gzip.c \
	observe/explain.c observe/explain_text.c observe/heap_dump.c observe/heap_dump_write.c \
	types/panic.c types/defer.c types/slice.c types/string.c types/closure.c types/pool.c \
	types/stacks.c types/scheduler.c types/timer.c types/wait.c types/wait_group.c types/task.c \
	types/channel.c types/select.c types/ticker.c types/switch.S \
	types/map.c types/map_delete.c types/map_grow.c types/map_iterate.c types/map_layout.c
# The shared library takes the place of pthread_create and its kin: it has the second file instead.
SPANHEAP_STATIC_ONLY := collector/threads_real.c
SPANHEAP_SHARED_ONLY := collector/interpose.c
