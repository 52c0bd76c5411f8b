// OpenAI's own client against the socket, unmodified but for how it connects.
// Arguments: the socket; a model's name; a prompt and the text that greedy decoding continues it with, both as JSON.
import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';

const [socket, model, prompt, story] = process.argv.slice(2, 6).map((a, i) => (i < 2 ? a : JSON.parse(a)));
const require = createRequire(path.join(process.cwd(), 'package.json')); // installed where we are started
const { default: OpenAI } = await import(pathToFileURL(require.resolve('openai')));

function fetchOverSocket(url, init = {}) {
  const { pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request(
      { socketPath: socket, path: pathname + search, method: init.method, headers: Object.fromEntries(new Headers(init.headers)) },
      (reply) => resolve(new Response(Readable.toWeb(reply), { status: reply.statusCode, headers: reply.headers })));
    request.on('error', reject);
    init.signal?.addEventListener('abort', () => {
      request.destroy();
      reject(new DOMException('aborted', 'AbortError'));
    });
    request.end(init.body);
  });
}

const client = new OpenAI({ baseURL: 'http://localhost/v1', apiKey: 'none', fetch: fetchOverSocket, maxRetries: 0 });
const greedy = { model, temperature: 0, max_tokens: 32 };
const messages = [{ role: 'system', content: 'Tell a story.' }, { role: 'user', content: [{ type: 'text', text: prompt }] }];

const tests = {
  async models() {
    const names = [];
    for await (const m of client.models.list()) names.push(m.id);
    assert.deepEqual(names, [model]);
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async completion() {
    const answer = await client.completions.create({ ...greedy, prompt });
    assert.equal(answer.choices[0].text, story);
    assert.equal(answer.usage.completion_tokens, 32);
  },

  async completionStream() {
    let text = '';
    for await (const event of await client.completions.create({ ...greedy, prompt, stream: true })) text += event.choices[0].text;
    assert.equal(text, story);
  },

  async chat() {
    const answer = await client.chat.completions.create({ ...greedy, messages, logprobs: true, top_logprobs: 1 });
    assert.equal(answer.choices[0].message.role, 'assistant');
    const bytes = answer.choices[0].logprobs.content.flatMap((t) => t.bytes);
    assert.equal(Buffer.from(bytes).toString(), answer.choices[0].message.content);
  },

  async chatStreamIsTheChat() {
    const whole = await client.chat.completions.create({ ...greedy, messages });
    const stream = client.chat.completions.stream({ ...greedy, messages, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
    assert.equal(final.choices[0].finish_reason, whole.choices[0].finish_reason);
    assert.equal(final.usage.total_tokens, whole.usage.total_tokens);
  },

  async severalChoices() {
    const answer = await client.chat.completions.create({ ...greedy, messages, n: 3, temperature: 1, seed: 1 });
    assert.deepEqual(answer.choices.map((c) => c.index), [0, 1, 2]);
  },

  async abort() {
    const stream = await client.completions.create({ model, prompt, stream: true });
    for await (const event of stream) if (event.choices[0].text) break; // which aborts the request
    const late = client.completions.create({ ...greedy, prompt }, { signal: AbortSignal.abort() });
    await assert.rejects(late, OpenAI.APIUserAbortError);
  },

  async errors() {
    await assert.rejects(client.chat.completions.create({ ...greedy, messages, temperature: -1 }),
      (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
    await assert.rejects(client.chat.completions.create({ ...greedy, messages, model: 'gpt-0' }),
      (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
    await assert.rejects(client.completions.create({ ...greedy, prompt: 'big '.repeat(100000), stream: true }),
      (e) => e instanceof OpenAI.BadRequestError && e.code === 'context_length_exceeded');
    await assert.rejects(client.models.retrieve('gpt-0'), OpenAI.NotFoundError);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (e) {
    failed++;
    console.log(`FAILED ${name}:`, e);
  }
}
process.exit(failed > 0 ? 1 : 0);
