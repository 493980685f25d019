/* A library with roots, for segments.c. */
void *module_slots[400];
