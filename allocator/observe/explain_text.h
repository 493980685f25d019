/* sh_explain()'s findings with names, and as text. */
#ifndef SPANHEAP_EXPLAIN_TEXT_H
#define SPANHEAP_EXPLAIN_TEXT_H

#include "collector/explain.h"
#include "observe/profile.h"

#include <stdio.h>

/** The public form of a root, with the names of its variable or function. Not inside a stop. */
struct sh_explain_root explain_named_root(const struct explain_root *raw);
#define EXPLAIN_FRAMES 3
/** The innermost functions of a sample: "f < g < h". */
void explain_write_frames(FILE *out, const struct profile_sample *sample);
/** All of it, by stdio. address is what was asked for. */
void explain_write(FILE *out, uintptr_t address, const struct explanation *e,
                   const struct sh_explain_root *root);

#endif
