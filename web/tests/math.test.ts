// @vitest-environment jsdom
import katex from 'katex';
import { describe, expect, it } from 'vitest';
import { drawnOf } from '../src/diagram/messages';
import { texOf } from '../src/lib/markdown/math';
import { renderWhole } from '../src/lib/markdown/render';
import { sanitize, sanitizeFormula } from '../src/lib/markdown/sanitize';
import { copied, Typesetter } from '../src/lib/markdown/typeset';

const show = (markdown: string): HTMLElement => {
  const element = document.createElement('div');
  element.innerHTML = sanitize(renderWhole(markdown));
  document.body.replaceChildren(element);
  return element;
};
const formulas = (markdown: string): string[] =>
  [...show(markdown).querySelectorAll('.math')].map((element) => element.textContent ?? '');

describe('where mathematics is', () => {
  it.each([
    ['\\(a_1\\) and \\[b\\]', ['\\(a_1\\)', '\\[b\\]']],
    ['$x$ and $$y$$', ['$x$', '$$y$$']],
    ['设$x$为正数，$n$-th', ['$x$', '$n$']],
    ['*soft $a*b$ text*', ['$a*b$']],
    ['text\n$$\nx\n- y\n$$\nmore', ['$$\nx\n- y\n$$']],
    ['- item\n  $$\n  a\n  $$', ['$$\na\n$$']],
    ['$\\text{cost: \\$5}$', ['$\\text{cost: \\$5}$']],
    ['$3x + 2$', ['$3x + 2$']],
  ])('%s', (markdown, expected) => {
    expect(formulas(markdown)).toEqual(expected);
  });

  it.each([
    'It costs $5 and $6.',
    'between $20,000 and $30,000',
    '$5/month or 10$',
    'US$5 and US$6',
    '$HOME/bin:$PATH',
    'a $ b $ c',
    '5$到10$之间',
    '\\$x\\$',
    '`$x$` and ``\\(y\\)``',
    '```\n$$x$$\n```',
    '    $x$',
    '\\[text\\](https://example.org)',
    '\\(never closed',
    '$$\nbroken by\n\nan empty line $$',
    `$${'x'.repeat(10_001)}$`,
  ])('not in %s', (markdown) => {
    expect(formulas(markdown)).toEqual([]);
  });

  it('takes the delimiters away', () => {
    expect(['$x$', '$$ x $$', '\\(x\\)', '\\[\nx\n\\]'].map(texOf)).toEqual(['x', 'x', 'x', 'x']);
  });
});

describe('Typesetter', () => {
  it('says that it has to be loaded, and leaves the source until then', () => {
    const element = show('$x$');
    expect(new Typesetter().typeset(element)).toBe(true);
    expect(element.textContent).toBe('$x$\n');
  });

  it('typesets formulas, and leaves what is none as it was written', async () => {
    const typesetter = new Typesetter();
    await typesetter.load();
    const element = show('$x_1$ and $\\frac{1$');
    expect(typesetter.typeset(element)).toBe(false);
    const [good, bad] = element.querySelectorAll('.math');
    expect(good?.querySelector('annotation')?.textContent).toBe('x_1');
    expect(bad?.textContent).toBe('$\\frac{1$');
    expect(bad?.getAttribute('title')).toContain('Unexpected end');
  });

  it('copies formulas as their sources', async () => {
    const typesetter = new Typesetter();
    await typesetter.load();
    const element = show('The root $x_1$ of\n\n$$\ny\n$$\n');
    typesetter.typeset(element);
    const selection = getSelection();
    selection?.selectAllChildren(element);
    expect(selection && copied(selection)).toBe('The root $x_1$ of\n$$y$$\n');
    selection?.selectAllChildren(show('no formula'));
    expect(selection && copied(selection)).toBeNull();
  });
});

describe('what a formula may put on the page', () => {
  const render = (tex: string, trust = false): HTMLElement => {
    const root = document.createElement('span');
    katex.render(tex, root, { throwOnError: false, trust, displayMode: true, strict: 'ignore' });
    return root;
  };

  it.each([
    '\\frac{-b \\pm \\sqrt[3]{b^2 - 4ac}}{2a}',
    '\\color{red}{x} \\colorbox{#ff0}{y} \\fcolorbox{red}{aqua}{z} \\boxed{q}',
    '\\begin{pmatrix} a & b \\\\ \\hline c & d \\end{pmatrix} \\begin{array}{|c:r|} 1 & 2 \\end{array}',
    '\\begin{cases} 1 & x > 0 \\\\ 0 & \\text{otherwise 中文} \\end{cases}',
    '\\begin{align} a &= b \\tag{1} \\\\ c &= d \\end{align}',
    '\\overbrace{a + b}^{n} \\underbrace{c}_{m} \\widehat{xyz} \\vec{v} \\overrightarrow{AB} \\xrightarrow[a]{b}',
    '\\sum_{i=0}^{n} \\int_0^\\infty \\lim_{x \\to 0} \\prod \\left( \\frac{1}{2} \\right] \\Big|',
    '\\cancel{x} \\bcancel{y} \\xcancel{z} \\sout{w} \\phase{30} \\angl{n} \\underline{u} \\overline{o}',
    '\\mathbb{R} \\mathcal{L} \\mathfrak{g} \\mathbf{b} \\mathsf{s} \\Huge x \\tiny y \\rule{1em}{2pt} \\smash{x} \\raisebox{1em}{y} \\hspace{1em} \\kern1em',
    '\\ce',
  ])('all that KaTeX makes of %s', (tex) => {
    const root = render(tex);
    const before = root.innerHTML;
    sanitizeFormula(root);
    expect(root.innerHTML).toBe(before);
  });

  it('and nothing more, whatever KaTeX would let through', () => {
    const root = render(
      '\\href{https://example.org}{a} \\includegraphics{https://example.org/x.png} \\htmlStyle{position: fixed; inset: 0}{x} \\htmlData{a=b}{y} \\htmlId{app}{z}',
      true,
    );
    root.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)><svg><script>alert(1)</script></svg><span onclick="x()" style="background-image: url(x)">t</span>');
    sanitizeFormula(root);
    expect(root.querySelector('a, img, script, [id], [onclick], [data-a], [href]')).toBeNull();
    root.querySelector('annotation')?.remove();
    expect(root.innerHTML).not.toMatch(/fixed|url\(/);
  });
});

describe('what the frame of the diagrams says', () => {
  it('is understood, and nothing else is', () => {
    expect(drawnOf({ id: 1, svg: '<svg/>', width: 2, height: 3, more: 4 })).toEqual({ id: 1, svg: '<svg/>', width: 2, height: 3 });
    expect(drawnOf({ id: 1, error: 'no' })).toEqual({ id: 1, error: 'no' });
    for (const other of [null, 'x', {}, { id: '1', error: 'x' }, { id: 1, svg: 2, width: 1, height: 1 }]) expect(drawnOf(other)).toBeNull();
  });
});
