import { describe, expect, it } from 'vitest';
import { MarkdownBlocks } from '../src/lib/markdown/blocks';
import { renderWhole } from '../src/lib/markdown/render';

const DOCUMENTS: Record<string, string> = {
  answer: `# A title\n\nA paragraph with **bold**, *soft* and \`code\`.\nA second line.\n\n- one\n- two\n  - inner\n\n  still two\n- three\n\n1. first\n2. second\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n\n\`\`\`python\ndef f(x):\n\n    return x\n\`\`\`\n\n> quoted\nlazy\n\n---\n\nThe end.`,
  interrupts: `para\n#tag not heading\n\npara\n# heading\npara\n***\npara\n***bold***\npara\n- item\npara\n-5 degrees\npara\n1. one\n\npara\n\`\`\`\ncode\n\`\`\`\npara\n> quote\n`,
  setext: `Title\n=====\n\nOther\n---\n\nnot a title\n==x\n`,
  lists: `- a\n\n- b\n\n  c\n\n      code in b\n\n* other list\n\n1. x\n\n1) y\n\n1\n\n1. z\n   \`\`\`js\n   let a = 1\n   \`\`\`\n2. end`,
  tasks: `- [ ] open\n- [x] done\n`,
  fences: `~~~\n\`\`\`\nstill\n~~~\ntext\n\n\`\`\`\`md\n\`\`\`\ninner\n\`\`\`\n\`\`\`\`\nafter\n\n    indented\n\n    more\n\nlast\n\`\`\`ts\nopen`,
  references: `See [the page][a] and [b].\n\nMore text.\n\n[a]: https://example.org "title"\n\nLater [a] again.\n\n[b]: https://example.net\n"over two lines"\n\nEnd [b].`,
  html: `<div>\nraw <b>html</b>\n\n</div>\n\npara <br> with <script>alert(1)</script>\n\n<details>\n<summary>x</summary>\n\ntext\n</details>\n`,
  chinese: `## 标题\n\n佛塔是**一层层**叠起的。\n\n- 第一层\n- 第二层\n\n| 名称 | 高度 |\n|---|---|\n| 塔 | 七层 |\n`,
  formulas: String.raw`Roots of \(x^2 = 1\) are

$$
x =
- 1
# no heading
$$
then $$y$$ within, \[
z
\] and $a_1*b$ with *soft $c*d$ text*.

\[ closed \] with words

\[
never closed
- item
> quote

1. one $x$
   $$
   y
   $$
2. two

| $a$ | b |
|---|---|
| \(c\) | $5 and $6 |

$$ a $$
$$ b $$
last $open`,
  diagrams: `Look:\n\n\`\`\`mermaid\ngraph LR\n  A --> B\n\n  B --> C\n\`\`\`\n\nand\n\n~~~mermaid\npie\n~~~\n`,
  emphasis: `**中文。**后面和*“引”*的\n\n5~10元，6~8元 ~~没有~~\n\nhttps://example.org/a。然后`,
  windows: `one\r\n\r\ntwo\r\n- a\r\n- b\r\n\r\n\`\`\`\r\nx\r\n\`\`\`\r\n`,
  spaces: `\n\n  lead\n\n\n\n\ttab code\n\n \n \nend\n\n\n`,
};

const joined = (blocks: MarkdownBlocks, source: string): string =>
  blocks
    .update(source, false)
    .map((block) => block.html)
    .join('');

describe('MarkdownBlocks', () => {
  it.each(Object.entries(DOCUMENTS))('%s: joined blocks are the whole, at every length', (_name, source) => {
    const blocks = new MarkdownBlocks();
    for (let length = 0; length <= source.length; length++) {
      const part = source.slice(0, length);
      expect(joined(blocks, part), JSON.stringify(part)).toBe(renderWhole(part));
    }
  });

  it.each([2, 3, 7, 31])('joined blocks are the whole when all documents arrive in pieces of %i', (size) => {
    const source = Object.values(DOCUMENTS).join('\n\n');
    const blocks = new MarkdownBlocks();
    for (let length = size; length < source.length + size; length += size) {
      const part = source.slice(0, length);
      expect(joined(blocks, part)).toBe(renderWhole(part));
    }
  });

  it('the raw texts joined are the source', () => {
    for (const source of Object.values(DOCUMENTS)) {
      const raw = new MarkdownBlocks().update(source, false).map((block) => block.raw);
      expect(raw.join('')).toBe(source.replace(/\r\n?/g, '\n'));
    }
  });

  it('keeps the objects of blocks that are finished', () => {
    const blocks = new MarkdownBlocks();
    const before = blocks.update('one\n\ntwo\n\nthree', true);
    const after = blocks.update('one\n\ntwo\n\nthree and more', true);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });

  it('starts anew with another text', () => {
    const blocks = new MarkdownBlocks();
    blocks.update('one\n\ntwo\n\nthree', false);
    expect(joined(blocks, 'else\n\nentirely')).toBe(renderWhole('else\n\nentirely'));
  });

  it('closes open marks of the last block while more is to come, and only then', () => {
    const blocks = new MarkdownBlocks();
    expect(blocks.update('some **bold te', true)[0]?.html).toContain('<strong>bold te</strong>');
    expect(blocks.update('some **bold te', false)[0]?.html).toContain('**bold te');
  });

  it('leaves a formula that is not closed as it was written', () => {
    const [block] = new MarkdownBlocks().update('$$\nx = **a', true);
    expect(block?.html).toBe('<p>$$<br>x = **a</p>\n');
  });

  it('says when the fence of a code block is closed', () => {
    const closed = (source: string): boolean | undefined => new MarkdownBlocks().update(source, true)[0]?.code?.closed;
    expect(closed('```mermaid\ngraph LR')).toBe(false);
    expect(closed('```mermaid\ngraph LR\n``')).toBe(false);
    expect(closed('```mermaid\ngraph LR\n```')).toBe(true);
    expect(closed('```mermaid\ngraph LR\n```\n\n')).toBe(true);
  });

  it('gives code blocks with their language', () => {
    const [code] = new MarkdownBlocks().update('```Python title="x"\nprint(1)\n```', false);
    expect(code?.code).toEqual({ language: 'python', text: 'print(1)', closed: true });
  });
});
