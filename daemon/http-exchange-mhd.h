/* The two callbacks that http-server.c gives to the HTTP library. */
#pragma once

#include <microhttpd.h>

enum MHD_Result http_exchange_access(void *userdata, struct MHD_Connection *mhd, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **exchange);
void http_exchange_completed(
    void *userdata, struct MHD_Connection *mhd, void **exchange, enum MHD_RequestTerminationCode code);
