/* Calls the function of the library whose name is NAME. */
void NAME(void *, void *);

int
main(void)
{
    NAME(0, 0);
    return 0;
}
