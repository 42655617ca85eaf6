/*
 * OpenSSL would look a directory of certificates through while a connection verifies its server's:
 * reading files then, on a worker. So they are read when all are.
 */
#include "net/tls_certificates.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* Octets of a file. What systems trust has a quarter of a megabyte; the time taken grows faster
 * than the size. */
enum { FILE_MAX = 4 << 20 };

struct reading {
    X509_STORE *store;
    EVP_MD_CTX *digest;
    size_t count;
    const char *why;
};

/* ---- A file ---- */

static FILE *open_file(struct reading *reading, const char *path)
{
    struct stat st;
    FILE *in = NULL;
    /* A pipe's other end is not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool found = fd >= 0 && fstat(fd, &st) == 0;
    if (found && !S_ISREG(st.st_mode)) {
        reading->why = "is no regular file";
    } else if (found && st.st_size > FILE_MAX) {
        reading->why = "has more than 4 MB";
    } else if (!found || (in = fdopen(fd, "r")) == NULL) {
        reading->why = strerror(errno);
    }
    if (in == NULL && fd >= 0) {
        close(fd);
    }
    return in;
}

/* The certificate with what its file says of whom it is good for. */
static int take(struct reading *reading, X509 *certificate)
{
    unsigned char *octets = NULL;
    int size = i2d_X509_AUX(certificate, &octets);
    bool ok = size > 0 && EVP_DigestUpdate(reading->digest, octets, (size_t)size) == 1 &&
              X509_STORE_add_cert(reading->store, certificate) == 1;
    OPENSSL_free(octets);
    reading->count += ok;
    return ok ? RR_OK : RR_ENOMEM;
}

/* Whether the last certificate was followed by the end of the file, not by one that is broken. */
static bool is_at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int read_file(struct reading *reading, const char *path)
{
    static char no_password[] = ""; /* or OpenSSL would ask the terminal for one */
    X509 *certificate;
    size_t before = reading->count;
    int error = RR_OK;
    FILE *in = open_file(reading, path);
    if (in == NULL) {
        return RR_EIO;
    }
    BIO *bio = BIO_new_fp(in, BIO_NOCLOSE);
    error = bio != NULL ? RR_OK : RR_ENOMEM;
    ERR_clear_error();
    while (error == RR_OK &&
           (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, no_password)) != NULL) {
        error = take(reading, certificate);
        X509_free(certificate);
    }
    if (error == RR_OK && ferror(in)) {
        reading->why = "reading it failed";
        error = RR_EIO;
    } else if (error == RR_OK && !is_at_end()) {
        reading->why = "holds PEM that can't be read";
        error = RR_EIO;
    } else if (error == RR_OK && reading->count == before) {
        reading->why = "holds no certificate in PEM form";
        error = RR_EIO;
    }
    BIO_free(bio);
    fclose(in);
    return error;
}

/* ---- Those of the system ---- */

/* Names by which OpenSSL finds certificates: eight digits of a hash, ".", a number. */
static int is_of_certificate(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t hash = strspn(name, "0123456789abcdef");
    if (hash != 8 || name[hash] != '.') {
        return 0;
    }
    size_t number = strspn(name + hash + 1, "0123456789");
    return number > 0 && name[hash + 1 + number] == '\0';
}

static int read_directory(struct reading *reading, const char *directory)
{
    struct dirent **list;
    char path[4096];
    int error = RR_OK;
    int count = scandir(directory, &list, is_of_certificate, alphasort);
    for (int i = 0; i < count; i++) {
        int size = snprintf(path, sizeof path, "%s/%s", directory, list[i]->d_name);
        if (error != RR_ENOMEM && size > 0 && (size_t)size < sizeof path) {
            error = read_file(reading, path);
        }
        free(list[i]);
    }
    if (count >= 0) {
        free(list);
    }
    return error;
}

static int read_directories(struct reading *reading, const char *directories)
{
    char *all = strdup(directories), *rest = all, *directory;
    int error = all != NULL ? RR_OK : RR_ENOMEM;
    while (error != RR_ENOMEM && (directory = strsep(&rest, ":")) != NULL) {
        error = read_directory(reading, directory);
    }
    free(all);
    return error;
}

static const char *place(const char *variable, const char *usual)
{
    const char *given = secure_getenv(variable);
    return given != NULL ? given : usual;
}

static int read_system(struct reading *reading)
{
    int error =
        read_file(reading, place(X509_get_default_cert_file_env(), X509_get_default_cert_file()));
    if (error != RR_ENOMEM) {
        error = read_directories(
            reading, place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
    }
    if (error == RR_ENOMEM) {
        return error;
    }
    reading->why = "there are none that can be read";
    return reading->count > 0 ? RR_OK : RR_EIO;
}

/* ---- All of it ---- */

int tls_certificates_read(X509_STORE *store, const char *file, uint8_t digest[TLS_DIGEST],
                          const char **why)
{
    struct reading reading = {.store = store, .digest = EVP_MD_CTX_new()};
    const uint8_t kind = file != NULL;
    int error = RR_ENOMEM;
    if (reading.digest != NULL && EVP_DigestInit_ex(reading.digest, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(reading.digest, &kind, sizeof kind) == 1) {
        error = file != NULL ? read_file(&reading, file) : read_system(&reading);
    }
    if (error == RR_OK && EVP_DigestFinal_ex(reading.digest, digest, NULL) != 1) {
        error = RR_ENOMEM;
    }
    EVP_MD_CTX_free(reading.digest);
    *why = reading.why;
    return error;
}
