/* GET /v1/models and /v1/models/{id}: what is installed. Only the loaded one answers requests; it comes first, since
 * many clients take the first. */
#include <string.h>
#include <sys/stat.h>

#include "http-json.h"
#include "http-openai.h"
#include "model-host.h"

static json_t *model_to_json(const InstalledModel *m) {
    struct stat st;
    json_int_t created = m->info && stat(m->info->path, &st) >= 0 ? st.st_mtime : 0;
    const char *owner = m->info && m->info->author ? m->info->author : "unknown";
    json_t *json = json_pack("{s:s, s:s, s:I, s:o, s:b}", "id", m->name, "object", "model", "created", created,
        "owned_by", http_json_text(owner, strlen(owner)), "loaded", m->loaded);
    if (!m->info)
        json_object_set_new(json, "error", http_json_text(m->error.message, strlen(m->error.message)));
    return json;
}

static int list(HttpExchange *x, InstalledModel **ret, size_t *ret_n) {
    Error e = {};
    int r = model_host_list(http_exchange_daemon(x)->host, ret, ret_n, &e);
    if (r < 0) {
        HttpError he = {};
        http_error_from(&he, &e, NULL);
        http_exchange_reply_error(x, &he);
    }
    return r;
}

void http_openai_models(HttpExchange *x) {
    InstalledModel *models = NULL;
    size_t n = 0;
    if (list(x, &models, &n) < 0)
        return;
    json_t *data = json_array();
    for (int loaded = 1; loaded >= 0; loaded--)
        for (size_t i = 0; i < n; i++)
            if (models[i].loaded == (loaded == 1))
                json_array_append_new(data, model_to_json(&models[i]));
    installed_models_free(models, n);
    http_exchange_reply_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

void http_openai_model(HttpExchange *x) {
    const char *name = http_exchange_argument(x);
    InstalledModel *models = NULL;
    size_t n = 0;
    json_t *found = NULL;
    if (list(x, &models, &n) < 0)
        return;
    for (size_t i = 0; i < n && !found; i++)
        if (installed_models_means(name, models[i].name))
            found = model_to_json(&models[i]);
    installed_models_free(models, n);
    if (found) {
        http_exchange_reply_json(x, 200, found);
        return;
    }
    HttpError he = {};
    http_error_set(&he, 404, "model_not_found", "model", "The model '%.100s' is not installed. See /v1/models.", name);
    http_exchange_reply_error(x, &he);
}
