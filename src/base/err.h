/*
 * One enum of error codes for the whole program, with one table of texts.
 *
 * Functions that can fail return int: 0, or one of these (all negative). Where a fault has a
 * place (file, line, key path) it is reported to a struct diag as well; the code is for the
 * program, the diagnostic for the operator.
 */
#ifndef RRDNS_BASE_ERR_H
#define RRDNS_BASE_ERR_H

enum rr_error {
    RR_OK = 0,
    RR_ENOMEM = -1,    /* no memory */
    RR_EINVAL = -2,    /* input breaks its syntax or its rules */
    RR_ERANGE = -3,    /* a number or size is outside what its place can hold */
    RR_ENOENT = -4,    /* no such thing */
    RR_EEXIST = -5,    /* there already */
    RR_EIO = -6,       /* the operating system refused; errno says why */
    RR_ELIMIT = -7,    /* a configured or built-in limit is reached */
    RR_EFORMAT = -8,   /* a file or message is not of the form it claims */
    RR_ESTATE = -9,    /* not possible now; a restart or another order is needed */
    RR_EPERM = -10,    /* the caller may not */
};

/* The text for a code of enum rr_error; never NULL, static storage. */
const char *rr_strerror(int error);

#endif
