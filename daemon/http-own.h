/* Our own endpoints: /health, /metrics, /tokenize, /detokenize. */
#pragma once

#include "http-exchange.h"

void http_own_health(HttpExchange *x);
void http_own_metrics(HttpExchange *x);
void http_own_tokenize(HttpExchange *x);
void http_own_detokenize(HttpExchange *x);
