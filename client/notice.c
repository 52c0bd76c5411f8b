/* "Once" is a file in the user's state folder; where none can be kept, the remark is made each time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dict.h"
#include "models.h"
#include "notice.h"
#include "output.h"

/* Like mkdir -p, for the user alone. */
static int make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        if (slash)
            *slash = '/';
        if (r < 0 || !slash)
            return r;
    }
}

int state_path(const char *name, char **ret) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    _cleanup_(freep) char *folder = NULL;
    int n;

    if (state && *state == '/')
        n = asprintf(&folder, "%s/inferd", state);
    else if (home && *home == '/')
        n = asprintf(&folder, "%s/.local/state/inferd", home);
    else
        return -ENOENT;
    if (n < 0) {
        folder = NULL;
        return -ENOMEM;
    }
    int r = make_folders(folder);
    if (r < 0)
        return r;
    return asprintf(ret, "%s/%s", folder, name) < 0 ? -ENOMEM : 0;
}

static bool model_is_embedded(Bus *b) {
    _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
    json_t *list = NULL, *model;
    bool embedded = false;
    size_t i;

    if (sd_bus_call_method(b->connection, BUS_NAME, BUS_PATH, BUS_MANAGER, "ListModels", NULL, &reply, NULL) < 0 ||
        models_read(reply, &list) < 0)
        return false;
    json_array_foreach(list, i, model) embedded |= dict_bool(model, "loaded") && dict_bool(model, "embedded");
    json_decref(list);
    return embedded;
}

static void make_empty_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    closep(&fd);
}

void notice_embedded(Bus *b) {
    _cleanup_(freep) char *path = NULL;

    bool remembers = state_path("embedded-model-noticed", &path) == 0;
    if ((remembers && access(path, F_OK) == 0) || !model_is_embedded(b))
        return;
    remark("this was the small built-in model, which can do a little arithmetic and not much else.\n"
           "To install a real one see: infer models --help");
    if (remembers)
        make_empty_file(path);
}
