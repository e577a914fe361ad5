/**
 * What functions bring to the page runs in frames of frame.html: scripts of their own, but no access to this page, its
 * storage or the session, and no connection to anywhere (the frame's own security policy says so).
 */

export const FRAME_PAGE = 'frame.html';
/** Without allow-same-origin: the frame's origin is nobody's. */
export const SANDBOX = 'allow-scripts allow-forms allow-popups allow-downloads';
const LONGEST_RUN_MS = 60_000;

/** What a script of a function gives back; {error} where it fails, or does not end. */
export function runInFrame(code: string): Promise<unknown> {
  return new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.setAttribute('sandbox', SANDBOX);
    frame.hidden = true;
    frame.src = FRAME_PAGE;
    const end = (value: unknown): void => {
      clearTimeout(timer);
      removeEventListener('message', heard);
      frame.remove();
      resolve(value ?? null);
    };
    const heard = ({ source, data }: MessageEvent): void => {
      if (source !== frame.contentWindow) return;
      const { type, value } = (data ?? {}) as { type?: unknown; value?: unknown };
      if (type === 'ready') frame.contentWindow?.postMessage({ type: 'run', code }, '*');
      if (type === 'result') end(value);
    };
    const timer = setTimeout(() => end({ error: 'Event call timed out.' }), LONGEST_RUN_MS);
    addEventListener('message', heard);
    document.body.append(frame);
  });
}
