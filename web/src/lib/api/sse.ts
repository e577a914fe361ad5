/**
 * Server-sent events over fetch.
 *
 * `EventSource` can neither POST nor be aborted with a reason, so the format is read here. Source: the WHATWG HTML
 * standard, section "Server-sent events", without reconnection, which a POST must not do by itself.
 */

export interface ServerSentEvent {
  /** The `event` field; "message" where the server gave none. */
  type: string;
  data: string;
  /** The last `id` field seen so far, or the empty string. */
  id: string;
}

/** Turns text that arrives in pieces of any size into events. The same text gives the same events however it is cut. */
export class SseParser {
  private buffer = '';
  private started = false;
  private type = '';
  private data: string[] = [];
  private id = '';

  /** Takes the next piece of text; gives the events it completes. An event without its blank line is never given. */
  push(text: string): ServerSentEvent[] {
    this.buffer += text;
    if (!this.started && this.buffer.length > 0) {
      if (this.buffer.startsWith('\uFEFF')) this.buffer = this.buffer.slice(1);
      this.started = true;
    }
    const events: ServerSentEvent[] = [];
    let from = 0;
    for (;;) {
      const end = this.lineEnd(from);
      if (end === null) break;
      const event = this.line(this.buffer.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.buffer = this.buffer.slice(from);
    return events;
  }

  /** Where the line that starts at `from` ends. A CR at the very end waits: the next piece may bring its LF. */
  private lineEnd(from: number): { at: number; next: number } | null {
    for (let at = from; at < this.buffer.length; at++) {
      const character = this.buffer[at];
      if (character === '\n') return { at, next: at + 1 };
      if (character === '\r') {
        if (at + 1 === this.buffer.length) return null;
        return { at, next: this.buffer[at + 1] === '\n' ? at + 2 : at + 1 };
      }
    }
    return null;
  }

  private line(line: string): ServerSentEvent | null {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'data') this.data.push(value);
    else if (field === 'event') this.type = value;
    else if (field === 'id' && !value.includes('\0')) this.id = value;
    return null;
  }

  private dispatch(): ServerSentEvent | null {
    const { data, type } = this;
    this.data = [];
    this.type = '';
    if (data.length === 0) return null;
    return { type: type || 'message', data: data.join('\n'), id: this.id };
  }
}

/** The events of a response body, as they arrive. Cancels the body when the reader stops early. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const reader = body.getReader();
  // A character cut between two pieces is held back by the decoder; the byte order mark is the parser's affair.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        yield* parser.push(decoder.decode());
        return;
      }
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel();
  }
}
