/**
 * Keeps a growing page at its end, unless its reader went up.
 *
 * A scroll event does not say who scrolled. Position does: the page itself only ever moves down to the end, so a position
 * above the last one, with the content no shorter than before, is the reader's doing.
 */

/** Distance from the end, in CSS pixels, that counts as being there. */
const NEAR = 32;

export interface Scrollable {
  scrollTop: number;
  readonly scrollHeight: number;
  readonly clientHeight: number;
}

export class StickToEnd {
  /** The end is followed. */
  sticking = true;
  private lastTop = 0;
  private lastHeight = 0;

  /** To call for each scroll event. */
  scrolled(element: Scrollable): void {
    const distance = element.scrollHeight - element.clientHeight - element.scrollTop;
    const wentUp = element.scrollTop < this.lastTop - 1 && element.scrollHeight >= this.lastHeight;
    if (distance <= NEAR) this.sticking = true;
    else if (wentUp) this.sticking = false;
    this.note(element);
  }

  /** To call when the content or the window changed its size. */
  resized(element: Scrollable): void {
    if (this.sticking) element.scrollTop = element.scrollHeight;
    this.note(element);
  }

  /** Goes to the end and stays there. */
  goToEnd(element: Scrollable): void {
    this.sticking = true;
    this.resized(element);
  }

  private note(element: Scrollable): void {
    this.lastTop = element.scrollTop;
    this.lastHeight = element.scrollHeight;
  }
}
