/** Mermaid diagrams as pictures, drawn in a sandboxed frame that is made when the first one is wanted. */

import { drawnOf, READY, type Drawn, type Order } from '../../diagram/messages';

export interface Picture {
  /** For an image: scripts do not run in it and it loads nothing. */
  readonly url: string;
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
}

/** What was asked for is no diagram, or takes too long. message: Mermaid's, in English, or empty. */
export class DiagramError extends Error {}

const PATIENCE_MS = 20_000;
const MOST_KEPT = 60;

interface Job {
  readonly order: Order;
  readonly settle: (drawn: Drawn) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class Diagrams {
  private frame: HTMLIFrameElement | null = null;
  private ready = false;
  private count = 0;
  private readonly jobs = new Map<number, Job>();
  private readonly kept = new Map<string, Promise<Picture>>();

  /** Raises DiagramError. */
  draw(source: string, dark: boolean): Promise<Picture> {
    const key = `${dark}${source}`;
    let picture = this.kept.get(key);
    if (!picture) {
      picture = this.ask(source, dark).then(pictureOf);
      this.kept.set(key, picture);
      if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value ?? '');
    }
    return picture;
  }

  private ask(source: string, dark: boolean): Promise<Drawn> {
    const id = ++this.count;
    return new Promise((resolve) => {
      const settle = (drawn: Drawn): void => {
        clearTimeout(this.jobs.get(id)?.timer);
        this.jobs.delete(id);
        resolve(drawn);
      };
      const timer = setTimeout(() => this.giveUp(id), PATIENCE_MS);
      const job: Job = { order: { id, source, dark }, settle, timer };
      this.jobs.set(id, job);
      this.open();
      if (this.ready) this.send(job);
    });
  }

  private open(): void {
    if (this.frame) return;
    const frame = document.createElement('iframe');
    frame.setAttribute('sandbox', 'allow-scripts');
    frame.className = 'diagram-frame';
    frame.tabIndex = -1;
    frame.ariaHidden = 'true';
    frame.title = '';
    frame.src = './diagram.html';
    this.frame = frame;
    addEventListener('message', this.heard);
    document.body.append(frame);
  }

  private send(job: Job): void {
    // The frame has no origin that could be named; what it is told is the diagram alone.
    this.frame?.contentWindow?.postMessage(job.order, '*');
  }

  private readonly heard = ({ source, data }: MessageEvent): void => {
    if (!this.frame || source !== this.frame.contentWindow) return;
    if (data === READY) {
      this.ready = true;
      for (const job of this.jobs.values()) this.send(job);
      return;
    }
    const drawn = drawnOf(data);
    if (drawn) this.jobs.get(drawn.id)?.settle(drawn);
  };

  /** A diagram that does not end takes the frame with it; the others are drawn in the next one. */
  private giveUp(id: number): void {
    this.frame?.remove();
    this.frame = null;
    this.ready = false;
    removeEventListener('message', this.heard);
    this.jobs.get(id)?.settle({ id, error: '' });
    if (this.jobs.size > 0) this.open();
  }
}

function pictureOf(drawn: Drawn): Picture {
  if ('error' in drawn) throw new DiagramError(drawn.error);
  return { url: `data:image/svg+xml,${encodeURIComponent(drawn.svg)}`, width: drawn.width, height: drawn.height };
}
