/* Heap dumps: what is counted, and the file. That the JSON can be read is tested in
 * harness/tests/test_heap_dump_file.py. */
#include "folder.h"
#include "profile_check.h"

#include <spanheap/explain.h>

#include "collector/cycle.h"
#include "collector/world.h"
#include "observe/heap_dump.h"

#include <sys/stat.h>

struct tree {
    struct tree *left, *right;
    long payload[6];
};
static const struct sh_type tree_type =
    SH_TYPE(struct tree, SH_POINTER_AT(struct tree, left) | SH_POINTER_AT(struct tree, right));

struct record {
    void *fields[90];
};
static const uint64_t record_mask[2] = {1, 0};
static const struct sh_type record_type = {"struct record", sizeof(struct record), record_mask, 0};

enum { TREES = 700, RECORDS = 50, BLOCKS = 90, MANY_TYPES = 13000 };

static struct outcome out;
static void *volatile kept;
static _Thread_local void *volatile kept_by_thread;
static struct heap_dump dump;

static NOINLINE void
make_trees(void *arg)
{
    for (size_t i = 0; i < TREES; i++) {
        struct tree *t = sh_alloc_typed(&tree_type);
        t->left = kept;
        kept = t;
        if (arg != NULL)
            sh_alloc_typed(&tree_type); /* garbage */
    }
}

static NOINLINE void
make_records(void *arg)
{
    (void)arg;
    void **all = sh_alloc((RECORDS + BLOCKS) * sizeof *all);
    kept_by_thread = all;
    for (size_t i = 0; i < RECORDS; i++)
        all[i] = sh_alloc_typed(&record_type);
    for (size_t i = 0; i < BLOCKS; i++)
        all[RECORDS + i] = sh_alloc_noscan(1000);
}

static void
take_now(void *arg)
{
    *(int *)arg = heap_dump_take(&dump);
}

static void
take(void)
{
    int error = -1;
    world_safe_call(take_now, &error);
    assert_int_equal(error, 0);
}

static struct dump_sum
sum_of(const struct sh_type *type, enum sh_object_kind kind, size_t size)
{
    for (size_t i = 0; i < DUMP_ROWS; i++) {
        const struct dump_row *row = &dump.rows[i];
        if (row->used && row->type == type && row->kind == kind && row->size == size)
            return row->sum;
    }
    return (struct dump_sum){0, 0};
}

static void
assert_sum(struct dump_sum sum, size_t objects, size_t bytes)
{
    assert_int_equal(sum.objects, objects);
    assert_int_equal(sum.bytes, bytes);
}

static void
test_live_objects_are_counted_by_type_or_size(void **state)
{
    (void)state;
    run_elsewhere(make_trees, &dump);
    make_records(NULL);
    clear_stack();
    take();
    assert_sum(sum_of(&tree_type, SH_OBJECT_TYPED, 0), TREES, TREES * sizeof(struct tree));
    assert_sum(sum_of(&record_type, SH_OBJECT_TYPED, 0), RECORDS,
               RECORDS * sh_round_size(sizeof(struct record)));
    assert_sum(sum_of(NULL, SH_OBJECT_NOSCAN, 1024), BLOCKS, BLOCKS * 1024);
    assert_sum(dump.groups[GROUP_GLOBALS], TREES, TREES * sizeof(struct tree));
    assert_int_equal(dump.groups[GROUP_THREAD_LOCAL].objects, 1 + RECORDS + BLOCKS);
    uint64_t sum = 0;
    for (unsigned group = 0; group < NGROUPS; group++)
        sum += dump.groups[group].bytes;
    assert_int_equal(sum, dump.all.bytes);
    heap_dump_free(&dump);
    kept = kept_by_thread = NULL;
    take();
    assert_sum(sum_of(&tree_type, SH_OBJECT_TYPED, 0), 0, 0);
    assert_int_equal(dump.groups[GROUP_GLOBALS].objects, 0);
    heap_dump_free(&dump);
}

static void
test_unswept_and_unmarked_heap_counts_the_same(void **state)
{
    (void)state;
    run_elsewhere(make_trees, &dump);
    for (int i = 0; i < 3; i++) {
        cycle_begin(SH_TRIGGER_FORCED); /* it may still mark, or its sweep be left */
        take();
        assert_int_equal(dump.groups[GROUP_GLOBALS].objects, TREES);
        heap_dump_free(&dump);
    }
    kept = NULL;
}

static NOINLINE void
make_many_types(void *arg)
{
    struct sh_type *types = arg;
    void **all = sh_alloc(MANY_TYPES * sizeof *all);
    kept = all;
    for (size_t i = 0; i < MANY_TYPES; i++) {
        types[i] = record_type;
        all[i] = sh_alloc_typed(&types[i]);
    }
}

static void
test_types_beyond_the_table_are_counted_together(void **state)
{
    (void)state;
    struct sh_type *types = calloc(MANY_TYPES, sizeof *types);
    run_elsewhere(make_many_types, types);
    take();
    assert_true(dump.rows[DUMP_ROWS].used);
    struct dump_sum sum = {0, 0};
    for (size_t i = 0; i <= DUMP_ROWS; i++) {
        sum.objects += dump.rows[i].sum.objects;
        sum.bytes += dump.rows[i].sum.bytes;
    }
    assert_int_equal(sum.objects, dump.all.objects);
    assert_int_equal(sum.bytes, dump.all.bytes);
    assert_true(sum.objects > MANY_TYPES);
    heap_dump_free(&dump);
    kept = NULL;
    collect();
    free(types);
}

/* ---- The file ---- */

static const char *
text_of(const char *path)
{
    static char text[1 << 20];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static void
assert_has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        print_error("no \"%s\" in: %s", words, text);
    assert_non_null(strstr(text, words));
}

static void
test_table_has_types_by_bytes_and_roots(void **state)
{
    (void)state;
    run_elsewhere(make_trees, NULL);
    make_records(NULL);
    clear_stack();
    assert_int_equal(sh_heap_dump(in_folder("table")), 0);
    const char *text = text_of(in_folder("table"));
    assert_has(text, "           44800        700  global variables\n");
    assert_has(text, "           92160         90  (noscan, 1024 bytes)\n");
    assert_has(text, "           44800        700  struct tree\n");
    assert_has(text, "           38400         50  struct record\n");
    assert_true(strstr(text, "(noscan, 1024") < strstr(text, "struct tree"));
    assert_true(strstr(text, "struct tree") < strstr(text, "struct record"));
    kept = kept_by_thread = NULL;
}

SITE(site_of_dump, sh_alloc_typed(&tree_type))

static NOINLINE void
make_sampled(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < 100; i++) {
        struct tree *t = site_of_dump(0);
        t->left = kept;
        if (i % 2 == 0)
            kept = t;
    }
}

static void
test_places_of_allocation_are_told_with_a_profile(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    run_elsewhere(make_sampled, NULL);
    sh_profile_set_rate(0);
    assert_int_equal(sh_heap_dump(in_folder("sites")), 0);
    const char *text = text_of(in_folder("sites"));
    assert_has(text, "            3200         50  struct tree\n"
                     "            3200         50      at site_of_dump < make_sampled");
    kept = NULL;
}

static void
need_refused(const char *path, int error)
{
    errno = 0;
    assert_int_equal(sh_heap_dump(path), -1);
    assert_int_equal(errno, error);
}

static void
test_failure_of_a_dump_is_told_by_errno(void **state)
{
    (void)state;
    need_refused(NULL, EINVAL);
    need_refused(in_folder("none/file"), ENOENT);
    need_refused(folder, EISDIR);
    need_refused("/dev/full", ENOSPC);
    need_refused("/dev/full", ENOSPC);
}

static void
leave_trees(void)
{
    run_elsewhere(make_trees, NULL);
}

static void
leave_trees_twice(void)
{
    leave_trees();
    pid_t child = fork();
    if (child == 0) {
        run_elsewhere(make_trees, NULL);
        exit(0);
    }
    fprintf(stderr, "%d %d\n", (int)getpid(), (int)child);
    waitpid(child, NULL, 0);
}

static const struct program_part parts[] = {{"exit", leave_trees}, {"fork", leave_trees_twice}};

static void
run_dumping(const char *part, const char *file)
{
    static char setting[PATH_MAX + 32];
    snprintf(setting, sizeof setting, "SH_HEAPDUMP=%s", file);
    run_anew(&out, part, (const char *const[]){setting, NULL});
}

static void
test_dump_is_written_at_exit(void **state)
{
    (void)state;
    run_dumping("exit", in_folder("at-exit"));
    assert_success(&out);
    assert_string_equal(out.text, "");
    assert_has(text_of(in_folder("at-exit")), "           44800        700  struct tree\n");
    run_dumping("exit", in_folder("at-exit.json"));
    assert_success(&out);
    assert_has(text_of(in_folder("at-exit.json")),
               "{\"type\": \"struct tree\", \"kind\": \"typed\", \"size_b\": null, "
               "\"bytes\": 44800, \"objects\": 700, \"sites\": []}");
}

static void
test_each_process_has_a_dump_with_percent_p(void **state)
{
    (void)state;
    skip_under_tsan();
    int parent = 0, child = 0;
    char name[64];
    run_dumping("fork", in_folder("of-%p"));
    assert_success(&out);
    assert_int_equal(sscanf(out.text, "%d %d", &parent, &child), 2);
    snprintf(name, sizeof name, "of-%d", parent);
    assert_has(text_of(in_folder(name)), " 700  struct tree\n");
    snprintf(name, sizeof name, "of-%d", child);
    assert_has(text_of(in_folder(name)), " 1400  struct tree\n");
}

static void
test_dump_that_cannot_be_written_is_fatal_at_the_start(void **state)
{
    (void)state;
    run_dumping("exit", "/none/dump");
    assert_fatal(&out, "SH_HEAPDUMP=/none/dump cannot be written: No such file or directory");
    run_dumping("exit", "");
    assert_fatal(&out, "SH_HEAPDUMP= cannot be read; give the name of the heap dump to write");
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_objects_are_counted_by_type_or_size),
        cmocka_unit_test(test_unswept_and_unmarked_heap_counts_the_same),
        cmocka_unit_test(test_types_beyond_the_table_are_counted_together),
        cmocka_unit_test(test_table_has_types_by_bytes_and_roots),
        cmocka_unit_test(test_places_of_allocation_are_told_with_a_profile),
        cmocka_unit_test(test_failure_of_a_dump_is_told_by_errno),
        cmocka_unit_test(test_dump_is_written_at_exit),
        cmocka_unit_test(test_each_process_has_a_dump_with_percent_p),
        cmocka_unit_test(test_dump_that_cannot_be_written_is_fatal_at_the_start),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
