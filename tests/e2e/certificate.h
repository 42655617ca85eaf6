/*
 * Certificates of the tests' own, signed by themselves.
 */
#ifndef E2E_CERTIFICATE_H
#define E2E_CERTIFICATE_H

/*
 * Makes a P-256 key and a certificate with the subject alternative names
 * ("DNS:a.test,IP:127.0.0.1") in the files NAME.pem and NAME.key of harness_dir(). Both are good
 * for a day.
 */
void certificate_make(const char *name, const char *alternative_names);

#endif
