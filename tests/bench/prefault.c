// Memory at hand: touches MIB mebibytes once and gives them back.
//
//   prefault MIB
//
// On a virtual machine the kernel may give memory that is free for a few seconds back to the host,
// which has to find it again when it is touched, at several times the cost. A load timed then is
// one of the host. So each is preceded by this, whoever it is that loads.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t size = argc == 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    if (size == 0) {
        fprintf(stderr, "usage: prefault MIB\n");
        return 2;
    }
    char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("prefault: mmap");
        return 1;
    }
    madvise(memory, size, MADV_HUGEPAGE);
    for (size_t at = 0; at < size; at += 4096) {
        ((volatile char *)memory)[at] = 1;
    }
    return 0;
}
