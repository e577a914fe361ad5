import { describe, expect, it } from 'vitest';
import { readChunk } from '../src/lib/api/chunk';
import { requestBody } from '../src/lib/api/client';
import { errorMessage, failureOf } from '../src/lib/api/errors';
import { promptOf, timingOf, titleOf, type AnswerMessage, type ChatMessage } from '../src/lib/state/conversation';
import { LocalChatStore } from '../src/lib/state/local-store';
import { StickToEnd } from '../src/lib/state/scroll';
import { spokenParagraphs } from '../src/lib/ui/spoken';

const question = (content: string): ChatMessage => ({ id: content, role: 'user', content });
const answer = (content: string, more: Partial<AnswerMessage> = {}): AnswerMessage => ({
  id: `a ${content}`,
  role: 'assistant',
  content,
  reasoning: '',
  reasoningTime: null,
  status: 'done',
  finishReason: 'stop',
  failure: null,
  usage: null,
  timing: null,
  model: 'm',
  ...more,
});

describe('promptOf', () => {
  it('puts the system prompt first and leaves reasoning behind', () => {
    const messages = [question('a'), answer('b', { reasoning: 'hm' }), question('c')];
    expect(promptOf(messages, ' be brief ')).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ]);
  });

  it('leaves out a question that got no answer, so that the two sides take turns', () => {
    const messages = [question('a'), answer('', { status: 'failed' }), question('c')];
    expect(promptOf(messages, '').map((message) => message.content)).toEqual(['c']);
  });
});

describe('timingOf', () => {
  const usage = { promptTokens: 5, completionTokens: 11, cachedTokens: null };

  it('takes the engine’s times where it gives them', () => {
    const metrics = { timeToFirstToken: 0.2, generationTime: 1, queueTime: 0.1, tokensPerSecond: 42 };
    const timing = timingOf({ total: 2, firstToken: 0.5 }, usage, metrics);
    expect(timing).toEqual({ total: 2, firstToken: 0.2, queue: 0.1, tokensPerSecond: 42 });
  });

  it('measures itself where the engine gives none', () => {
    expect(timingOf({ total: 1.5, firstToken: 0.5 }, usage, null).tokensPerSecond).toBeCloseTo(10);
  });

  it('gives no rate without an exact count', () => {
    expect(timingOf({ total: 1.5, firstToken: 0.5 }, null, null).tokensPerSecond).toBeNull();
  });
});

describe('requestBody', () => {
  it('leaves out what the reader did not set', () => {
    const body = requestBody({ model: 'm', messages: [], sampling: { temperature: 0, topP: null, maxTokens: null } });
    expect(body).toEqual({
      model: 'm',
      messages: [],
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      temperature: 0,
    });
  });
});

describe('readChunk', () => {
  it.each(['reasoning', 'reasoning_content'])('reads %s', (name) => {
    expect(readChunk({ choices: [{ delta: { [name]: 'x' } }] }).reasoning).toBe('x');
  });

  it('reads the final usage chunk, with and without the engine’s times', () => {
    const usage = { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 2 } };
    expect(readChunk({ choices: [], usage }).usage).toEqual({ promptTokens: 3, completionTokens: 4, cachedTokens: 2 });
    expect(readChunk({ choices: [], usage }).metrics).toBeNull();
    const metrics = readChunk({ choices: [], usage, metrics: { tokens_per_second: 9 } }).metrics;
    expect(metrics).toEqual({ timeToFirstToken: null, generationTime: null, queueTime: null, tokensPerSecond: 9 });
  });

  it.each([null, 'x', {}, { choices: null }, { choices: [{}] }, { usage: { prompt_tokens: 'x' } }])(
    'makes nothing of %j',
    (chunk) => {
      expect(readChunk(chunk)).toEqual({ content: '', reasoning: '', finishReason: null, usage: null, metrics: null });
    },
  );
});

describe('failures', () => {
  it.each([
    [401, 'Unauthorized', 'unauthorized'],
    [503, '', 'starting'],
    [429, '', 'busy'],
    [400, "This model's maximum context length is 8192 tokens.", 'context'],
    [400, 'temperature must be at most 2', 'rejected'],
    [404, 'no such model', 'rejected'],
    [500, '', 'server'],
  ] as const)('status %i, "%s" is %s', (status, detail, kind) => {
    expect(failureOf(status, detail).kind).toBe(kind);
  });

  it.each([
    [{ error: { message: 'no' } }, 'no'],
    [{ error: 'Unauthorized' }, 'Unauthorized'],
    [{ detail: 'gone' }, 'gone'],
    [[], ''],
    [null, ''],
  ])('reads the sentence of %j', (body, sentence) => {
    expect(errorMessage(body)).toBe(sentence);
  });
});

describe('titleOf', () => {
  it('is the first line of the first question, cut between characters', () => {
    expect(titleOf([question('塔有几层?\n请说明')])).toBe('塔有几层?');
    expect([...titleOf([question('🏯'.repeat(200))])]).toHaveLength(80);
    expect(titleOf([])).toBe('');
  });
});

describe('LocalChatStore', () => {
  function memory(): Storage {
    const items = new Map<string, string>();
    return {
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => void items.set(key, value),
    } as Storage;
  }

  it('gives back what it kept; an answer that was arriving has stopped', async () => {
    const store = new LocalChatStore(memory());
    expect(await store.load()).toBeNull();
    await store.save({ messages: [question('a'), answer('half', { status: 'streaming' })] });
    const kept = await store.load();
    expect(kept?.messages[0]).toEqual(question('a'));
    expect(kept?.messages[1]).toMatchObject({ content: 'half', status: 'stopped' });
  });

  it('says when nothing can be kept', async () => {
    await expect(new LocalChatStore(null).save({ messages: [] })).rejects.toThrow();
  });
});

describe('StickToEnd', () => {
  function page(scrollHeight: number): { scrollTop: number; scrollHeight: number; clientHeight: number } {
    let top = 0;
    return {
      scrollHeight,
      clientHeight: 100,
      get scrollTop() {
        return top;
      },
      set scrollTop(value: number) {
        top = Math.max(0, Math.min(value, this.scrollHeight - this.clientHeight));
      },
    };
  }

  it('follows a growing page, lets go when the reader goes up, and takes up again at the end', () => {
    const element = page(500);
    const stick = new StickToEnd();
    stick.resized(element);
    expect(element.scrollTop).toBe(400);

    element.scrollTop = 300;
    stick.scrolled(element);
    element.scrollHeight = 700;
    stick.resized(element);
    expect(element.scrollTop).toBe(300);

    element.scrollTop = 590;
    stick.scrolled(element);
    element.scrollHeight = 900;
    stick.resized(element);
    expect(element.scrollTop).toBe(800);
  });

  it('does not take a page that became shorter for a reader who went up', () => {
    const element = page(900);
    const stick = new StickToEnd();
    stick.resized(element);
    element.scrollHeight = 600;
    element.scrollTop = 500;
    stick.scrolled(element);
    expect(stick.sticking).toBe(true);
  });
});

describe('spokenParagraphs', () => {
  it('leaves out marks and names code blocks', () => {
    const markdown = '## Title\n\nSome **bold** [link](https://x.y) and `code`\nmore.\n\n```py\nx = 1\n\ny = 2\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |';
    expect(spokenParagraphs(markdown, 'Code block.')).toEqual([
      'Title',
      'Some bold link and code more.',
      'Code block.',
      'a, b 1, 2',
    ]);
  });
});
