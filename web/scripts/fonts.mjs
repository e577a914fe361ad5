// KaTeX names each font in three formats. Every browser that runs this page reads the smallest, and the package carries it alone.

/** @returns {import('vite').Plugin} */
export function modernFonts() {
  return {
    name: 'modern-fonts',
    enforce: 'pre',
    transform(code, id) {
      if (!/katex[^/]*\.css$/.test(id)) return null;
      const left = code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\(["'][^"']*["']\)/g, '');
      if (/\.(?:woff|ttf)\)/.test(left)) throw new Error(`${id}: fonts are named in another way than this expects`);
      return { code: left, map: null };
    },
  };
}
