#include "base/err.h"

const char *rr_strerror(int error)
{
    switch (error) {
    case RR_OK:
        return "success";
    case RR_ENOMEM:
        return "out of memory";
    case RR_EINVAL:
        return "invalid input";
    case RR_ERANGE:
        return "out of range";
    case RR_ENOENT:
        return "not found";
    case RR_EEXIST:
        return "exists already";
    case RR_EIO:
        return "input/output error";
    case RR_ELIMIT:
        return "limit reached";
    case RR_EFORMAT:
        return "malformed";
    case RR_ESTATE:
        return "not possible in this state";
    case RR_EPERM:
        return "not permitted";
    default:
        return "unknown error";
    }
}
