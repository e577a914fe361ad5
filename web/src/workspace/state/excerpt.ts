/** Excerpts of the search, in pieces: what was found, and what stands around it. */

export interface Piece {
  text: string;
  hit: boolean;
}

/** U+0001 begins a hit, U+0002 ends it. Marks without their fellow mark nothing; nothing of it is read as HTML. */
export function piecesOf(excerpt: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [index, part] of excerpt.split('\u0001').entries()) {
    const end = index === 0 ? -1 : part.indexOf('\u0002');
    if (end >= 0) pieces.push({ text: part.slice(0, end), hit: true });
    pieces.push({ text: part.slice(end + 1).replaceAll('\u0002', ''), hit: false });
  }
  return pieces.filter((piece) => piece.text !== '');
}

/** When something was written, as short as a list needs it: the time today, else the day. */
export function dayOf(time: number, now: number, language: string): string {
  const then = new Date(time);
  const today = new Date(now);
  const options: Intl.DateTimeFormatOptions =
    then.toDateString() === today.toDateString()
      ? { hour: 'numeric', minute: '2-digit' }
      : then.getFullYear() === today.getFullYear()
        ? { month: 'short', day: 'numeric' }
        : { year: 'numeric', month: 'short', day: 'numeric' };
  return new Intl.DateTimeFormat(language, options).format(then);
}
