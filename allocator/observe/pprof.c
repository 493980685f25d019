#include "observe/pprof.h"

#include "observe/gzip.h"
#include "observe/protobuf.h"
#include "observe/sampling.h"
#include "observe/symbols.h"

#include <spanheap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Field numbers of profile.proto. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRING_TABLE,
    PROFILE_TIME_NANOS = 9,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
    VALUE_TYPE_TYPE = 1,
    VALUE_TYPE_UNIT,
    SAMPLE_LOCATION_ID = 1,
    SAMPLE_VALUE,
    SAMPLE_LABEL,
    LABEL_KEY = 1,
    LABEL_NUM = 3,
    MAPPING_ID = 1,
    MAPPING_START,
    MAPPING_LIMIT,
    MAPPING_OFFSET,
    MAPPING_FILENAME,
    MAPPING_HAS_FUNCTIONS = 7,
    LOCATION_ID = 1,
    LOCATION_MAPPING_ID,
    LOCATION_ADDRESS,
    LOCATION_LINE,
    LINE_FUNCTION_ID = 1,
    FUNCTION_ID = 1,
    FUNCTION_NAME,
    FUNCTION_SYSTEM_NAME,
};

/* The first entries of the table of strings. */
enum {
    STRING_EMPTY,
    STRING_ALLOC_OBJECTS,
    STRING_COUNT,
    STRING_ALLOC_SPACE,
    STRING_BYTES,
    STRING_INUSE_OBJECTS,
    STRING_INUSE_SPACE,
    STRING_SPACE,
    NSTRINGS,
};

static const char *const first_strings[NSTRINGS] = {
    "", "alloc_objects", "count", "alloc_space", "bytes", "inuse_objects", "inuse_space", "space"};

/* A piece of a file in memory that holds code. */
struct code_mapping {
    uintptr_t start, limit;
    uint64_t offset;
    uint64_t filename; /* a string */
    bool is_used, has_unnamed;
};

struct pprof {
    struct protobuf out, part, inner; /* the profile, a message of it, a message of that */
    const struct profile_view *view;
    uint64_t nstrings;
    uintptr_t *addresses; /* of calls, rising; the location of addresses[i] has the id i + 1 */
    size_t naddresses;
    struct code_mapping *mappings; /* rising; the id of mappings[i] is i + 1 */
    size_t nmappings;
};

static uint64_t
add_string(struct pprof *w, const char *text)
{
    protobuf_string(&w->out, PROFILE_STRING_TABLE, text);
    return w->nstrings++;
}

/* ---- What is measured ---- */

static void
put_value_type(struct pprof *w, unsigned field, uint64_t type, uint64_t unit)
{
    protobuf_number(&w->part, VALUE_TYPE_TYPE, type);
    protobuf_number(&w->part, VALUE_TYPE_UNIT, unit);
    protobuf_message(&w->out, field, &w->part);
}

static void
put_head(struct pprof *w)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < NSTRINGS; i++)
        add_string(w, first_strings[i]);
    put_value_type(w, PROFILE_SAMPLE_TYPE, STRING_ALLOC_OBJECTS, STRING_COUNT);
    put_value_type(w, PROFILE_SAMPLE_TYPE, STRING_ALLOC_SPACE, STRING_BYTES);
    put_value_type(w, PROFILE_SAMPLE_TYPE, STRING_INUSE_OBJECTS, STRING_COUNT);
    put_value_type(w, PROFILE_SAMPLE_TYPE, STRING_INUSE_SPACE, STRING_BYTES);
    protobuf_number(&w->out, PROFILE_DEFAULT_SAMPLE_TYPE, STRING_INUSE_SPACE);
    put_value_type(w, PROFILE_PERIOD_TYPE, STRING_SPACE, STRING_BYTES);
    protobuf_number(&w->out, PROFILE_PERIOD, w->view->rate_b);
    protobuf_number(&w->out, PROFILE_TIME_NANOS,
                    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

/* ---- Where: mappings, functions, locations ---- */

static bool
add_mapping(struct pprof *w, const struct code_mapping *m)
{
    if (w->nmappings % 64 == 0) {
        struct code_mapping *more = realloc(w->mappings, (w->nmappings + 64) * sizeof *w->mappings);
        if (more == NULL)
            return false;
        w->mappings = more;
    }
    w->mappings[w->nmappings++] = *m;
    return true;
}

/* Lines such as "55d0-55d4 r-xp 00002000 08:01 1835 /usr/bin/program". */
static bool
read_mappings(struct pprof *w)
{
    char *line = NULL;
    size_t size = 0;
    bool ok = true;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (ok && maps != NULL && getline(&line, &size, maps) > 0) {
        struct code_mapping m = {0};
        char rights[5];
        int path = 0;
        int got = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %*s %*s %n", &m.start,
                         &m.limit, rights, &m.offset, &path);
        line[strcspn(line, "\n")] = '\0';
        if (got < 4 || rights[2] != 'x' || path == 0 || line[path] == '\0')
            continue;
        m.filename = add_string(w, line + path);
        ok = add_mapping(w, &m);
    }
    free(line);
    if (maps != NULL)
        fclose(maps);
    return ok;
}

static int
by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static bool
collect_addresses(struct pprof *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->view->n; i++)
        n += w->view->samples[i].nstack;
    w->addresses = malloc((n + 1) * sizeof *w->addresses);
    if (w->addresses == NULL)
        return false;
    for (size_t i = 0, at = 0; i < w->view->n; i++)
        for (size_t k = 0; k < w->view->samples[i].nstack; k++)
            w->addresses[at++] = w->view->samples[i].stack[k] - 1; /* inside of the call */
    qsort(w->addresses, n, sizeof *w->addresses, by_address);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || w->addresses[i] != w->addresses[i - 1])
            w->addresses[w->naddresses++] = w->addresses[i];
    return true;
}

/* The last function with a name. Addresses rise, so that those of one function come together. */
struct last_function {
    uintptr_t start;
    uint64_t id;
};

static void
put_function(struct pprof *w, const struct symbol *s, struct last_function *last)
{
    if (last->id > 0 && s->start == last->start)
        return;
    last->start = s->start;
    last->id++;
    uint64_t name = add_string(w, s->function);
    protobuf_number(&w->part, FUNCTION_ID, last->id);
    protobuf_number(&w->part, FUNCTION_NAME, name);
    protobuf_number(&w->part, FUNCTION_SYSTEM_NAME, name);
    protobuf_message(&w->out, PROFILE_FUNCTION, &w->part);
}

/* The number of the mapping, from 1; 0: it is in none. */
static size_t
mapping_of(const struct pprof *w, uintptr_t address)
{
    for (size_t i = 0; i < w->nmappings; i++)
        if (address >= w->mappings[i].start && address < w->mappings[i].limit)
            return i + 1;
    return 0;
}

static void
put_location(struct pprof *w, size_t i, struct last_function *last)
{
    struct symbol s = symbols_find(w->addresses[i]);
    size_t mapping = mapping_of(w, w->addresses[i]);
    if (s.function != NULL)
        put_function(w, &s, last);
    if (mapping > 0) {
        w->mappings[mapping - 1].is_used = true;
        w->mappings[mapping - 1].has_unnamed |= s.function == NULL;
    }
    protobuf_number(&w->part, LOCATION_ID, i + 1);
    if (mapping > 0)
        protobuf_number(&w->part, LOCATION_MAPPING_ID, mapping);
    protobuf_number(&w->part, LOCATION_ADDRESS, w->addresses[i]);
    if (s.function != NULL) {
        protobuf_number(&w->inner, LINE_FUNCTION_ID, last->id);
        protobuf_message(&w->part, LOCATION_LINE, &w->inner);
    }
    protobuf_message(&w->out, PROFILE_LOCATION, &w->part);
}

/* pprof takes the first mapping to be the program's. */
static void
put_mappings(struct pprof *w)
{
    for (size_t i = 0; i < w->nmappings; i++) {
        const struct code_mapping *m = &w->mappings[i];
        if (!m->is_used)
            continue;
        protobuf_number(&w->part, MAPPING_ID, i + 1);
        protobuf_number(&w->part, MAPPING_START, m->start);
        protobuf_number(&w->part, MAPPING_LIMIT, m->limit);
        protobuf_number(&w->part, MAPPING_OFFSET, m->offset);
        protobuf_number(&w->part, MAPPING_FILENAME, m->filename);
        protobuf_number(&w->part, MAPPING_HAS_FUNCTIONS, !m->has_unnamed);
        protobuf_message(&w->out, PROFILE_MAPPING, &w->part);
    }
}

/* ---- Samples ---- */

static uint64_t
location_of(const struct pprof *w, uintptr_t return_address)
{
    uintptr_t call = return_address - 1;
    const uintptr_t *found =
        bsearch(&call, w->addresses, w->naddresses, sizeof *w->addresses, by_address);
    return found == NULL ? 0 : (uint64_t)(found - w->addresses) + 1;
}

static uint64_t
scaled(uint64_t value, double weight)
{
    return (uint64_t)((double)value * weight);
}

static void
put_sample(struct pprof *w, const struct profile_sample *s)
{
    uint64_t locations[SH_PROFILE_FRAMES];
    for (size_t i = 0; i < s->nstack; i++)
        locations[i] = location_of(w, s->stack[i]);
    double weight = sampling_weight(s->size_b, s->rate_b);
    uint64_t inuse = s->allocs - s->frees;
    const uint64_t values[] = {scaled(s->allocs, weight), scaled(s->allocs * s->size_b, weight),
                               scaled(inuse, weight), scaled(inuse * s->size_b, weight)};
    protobuf_numbers(&w->part, SAMPLE_LOCATION_ID, locations, s->nstack);
    protobuf_numbers(&w->part, SAMPLE_VALUE, values, sizeof values / sizeof *values);
    protobuf_number(&w->inner, LABEL_KEY, STRING_BYTES);
    protobuf_number(&w->inner, LABEL_NUM, s->size_b);
    protobuf_message(&w->part, SAMPLE_LABEL, &w->inner);
    protobuf_message(&w->out, PROFILE_SAMPLE, &w->part);
}

static bool
put_profile(struct pprof *w)
{
    struct last_function last = {0, 0};
    put_head(w);
    if (!read_mappings(w) || !collect_addresses(w))
        return false;
    for (size_t i = 0; i < w->naddresses; i++)
        put_location(w, i, &last);
    put_mappings(w);
    for (size_t i = 0; i < w->view->n; i++)
        put_sample(w, &w->view->samples[i]);
    return !w->out.failed;
}

int
pprof_write(FILE *out, const struct profile_view *view)
{
    struct pprof w = {.view = view};
    int error = put_profile(&w) ? gzip_write(out, w.out.bytes, w.out.n) : ENOMEM;
    protobuf_free(&w.out);
    protobuf_free(&w.part);
    protobuf_free(&w.inner);
    free(w.addresses);
    free(w.mappings);
    return error;
}
