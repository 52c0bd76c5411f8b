/* See bus-error.h. One table, documented in data/dbus-1/org.inferd.Inference1.Manager.xml. */
#include <errno.h>

#include "bus-error.h"

#define PREFIX "org.inferd.Inference1.Error."

static const struct {
    int code;
    const char *name;
} error_names[] = {
    {-EINVAL, PREFIX "InvalidArgument"},
    {-EOPNOTSUPP, PREFIX "NotSupported"},
    {-EMSGSIZE, PREFIX "ContextOverflow"},
    {-ENOENT, PREFIX "NoSuchModel"},
    {-ENOTCONN, PREFIX "NoModel"},
    {-EBADMSG, PREFIX "ModelFailed"},
    {-EIO, PREFIX "ModelFailed"},
    {-ENOMEM, PREFIX "OutOfMemory"},
    {-ENOSPC, PREFIX "PoolExhausted"},
    {-EBUSY, PREFIX "Busy"},
    {-EDQUOT, PREFIX "LimitsExceeded"},
    {-ETIMEDOUT, PREFIX "Timeout"},
    {-ECANCELED, PREFIX "Cancelled"},
    {-EPIPE, PREFIX "ReaderStalled"},
    {-EACCES, PREFIX "NotAuthorized"},
    {-ESHUTDOWN, PREFIX "Stopping"},
};

const char *bus_error_name(int code) {
    for (size_t i = 0; i < ELEMENTSOF(error_names); i++)
        if (error_names[i].code == code)
            return error_names[i].name;
    return PREFIX "Failed";
}

int bus_error_set(sd_bus_error *ret, const Error *e) {
    return sd_bus_error_setf(ret, bus_error_name(e->code), "%s", e->message);
}

int bus_error_reply(sd_bus_message *call, const Error *e) {
    return sd_bus_reply_method_errorf(call, bus_error_name(e->code), "%s", e->message);
}
