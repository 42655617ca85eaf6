/*
 * Configurations: any text is either a configuration or has a fault that is told.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The system's certificates would be read for each text that has a server over TLS. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_overrides overrides = {.zone_directory = "", .workers = -1};
    struct config *config = NULL;
    struct diag diag = {0};
    int error = config_parse("rrdns.json", (const char *)data, size, &overrides, &config, &diag);
    if ((error != 0) != (diag.faults > 0)) {
        abort();
    }
    config_free(config);
    diag_clear(&diag);
    return 0;
}
