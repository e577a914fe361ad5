// The official npm client: streams, the runTools helper, parsed answers, embeddings.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const servers = JSON.parse(process.env.PAGODA_SERVERS);

function clientOf(name) {
  const { url, model } = servers[name];
  return { client: new OpenAI({ baseURL: `${url}/v1`, apiKey: "EMPTY", maxRetries: 0 }), model };
}

const QUESTION = [{ role: "user", content: "Name a colour." }];
const PARIS = [{ role: "user", content: "What is the weather in Paris?" }];

function weatherTool(seen) {
  return {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      parse: JSON.parse,
      function: ({ city }) => {
        seen.push(city);
        return `22 degrees in ${city}`;
      },
    },
  };
}

test("models are listed and found", async () => {
  const { client, model } = clientOf("chat");
  const listed = [];
  for await (const found of client.models.list()) listed.push(found.id);
  assert.deepEqual(listed, [model]);
  assert.equal((await client.models.retrieve(model)).id, model);
});

test("a stream is the whole answer", async () => {
  const { client, model } = clientOf("chat");
  const asked = { model, messages: QUESTION, temperature: 0, max_tokens: 12 };
  const whole = await client.chat.completions.create(asked);
  const stream = await client.chat.completions.create({
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("the stream helper gathers content and a tool call", async () => {
  const { client, model } = clientOf("scripted");
  const said = client.chat.completions.stream({ model, messages: [{ role: "user", content: "22 degrees" }] });
  const deltas = [];
  said.on("content", (delta) => deltas.push(delta));
  assert.equal(await said.finalContent(), "It is sunny in Paris, 22 degrees.");
  assert.equal(deltas.join(""), "It is sunny in Paris, 22 degrees.");
  assert.ok(deltas.length > 1);

  const { function: definition } = weatherTool([]);
  const called = client.chat.completions.stream({
    model,
    messages: PARIS,
    tools: [{ type: "function", function: { name: definition.name, parameters: definition.parameters } }],
  });
  const { choices } = await called.finalChatCompletion();
  assert.equal(choices[0].finish_reason, "tool_calls");
  assert.equal(choices[0].message.tool_calls[0].function.arguments, '{"city": "Paris"}');
});

for (const stream of [false, true]) {
  test(`runTools calls the tool and answers, stream: ${stream}`, async () => {
    const { client, model } = clientOf("scripted");
    const seen = [];
    const runner = client.chat.completions.runTools({ model, messages: PARIS, tools: [weatherTool(seen)], stream });
    assert.equal(await runner.finalContent(), "It is sunny in Paris, 22 degrees.");
    assert.deepEqual(seen, ["Paris"]);
    assert.ok((await runner.totalUsage()).completion_tokens >= 0);
  });
}

test("parse gives an object", async () => {
  const { client, model } = clientOf("scripted");
  const person = z.object({ name: z.string(), age: z.number() });
  const answer = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "Ada is 36" }],
    response_format: zodResponseFormat(person, "person"),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { name: "Ada", age: 36 });
});

test("an unknown model is the client's own error", async () => {
  const { client } = clientOf("chat");
  await assert.rejects(
    client.chat.completions.create({ model: "other", messages: QUESTION }),
    OpenAI.NotFoundError,
  );
});

test("a request that is given up leaves the server well", async () => {
  const { client, model } = clientOf("chat");
  const stream = await client.chat.completions.create({ model, messages: QUESTION, stream: true, max_tokens: 500 });
  for await (const _ of stream) break; // leaving the loop closes the connection
  const after = await client.chat.completions.create({ model, messages: QUESTION, max_tokens: 2 });
  assert.equal(after.usage.completion_tokens, 2);
});

test("embeddings", async () => {
  const { client, model } = clientOf("embedding");
  const found = await client.embeddings.create({ model, input: ["a cat", "a kitten"] });
  assert.equal(found.data.length, 2);
  assert.equal(found.data[0].embedding.length, 384);
});

test("responses, streamed", async () => {
  const { client, model } = clientOf("chat");
  const stream = client.responses.stream({ model, input: "Name a colour.", temperature: 0, max_output_tokens: 12 });
  let text = "";
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  const final = await stream.finalResponse();
  assert.equal(text, final.output_text);
});
