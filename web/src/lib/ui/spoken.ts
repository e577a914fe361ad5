/** An answer as a screen reader should hear it: paragraphs without their marks, and a word in place of each code block. */
export function spokenParagraphs(markdown: string, codeWord: string): string[] {
  const paragraphs: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  const finish = (): void => {
    const text = lines.join(' ').replace(/\s+/g, ' ').trim();
    if (text) paragraphs.push(text);
    lines = [];
  };
  for (const line of markdown.split('\n')) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== null) {
      if (mark?.startsWith(fence)) fence = null;
    } else if (mark) {
      finish();
      paragraphs.push(codeWord);
      fence = mark;
    } else if (line.trim() === '') finish();
    else if (!/^[\s|:-]+$/.test(line)) lines.push(unmarked(line));
  }
  finish();
  return paragraphs;
}

function unmarked(line: string): string {
  return line
    .replace(/^\s*(#{1,6}\s+|>\s?|[-*+]\s+)/, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/\s*\|\s*/g, ', ')
    .replace(/^, |, $/g, '');
}
