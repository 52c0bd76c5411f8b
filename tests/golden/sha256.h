/* SHA-256 (FIPS 180-4), for checksums of golden data; nothing secret. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Lower-case hexadecimal digits of the digest of p[n]. */
void sha256_hex(const void *p, size_t n, char ret[static 65]);
