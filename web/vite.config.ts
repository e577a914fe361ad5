import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { modernFonts } from './scripts/fonts.mjs';
import { thirdPartyLicenses } from './scripts/licenses.mjs';

const server = process.env['PAGODA_SERVER'] ?? 'http://127.0.0.1:8000';

export default defineConfig({
  // Relative addresses: the same build works at "/" and below any path of a proxy.
  base: './',
  plugins: [svelte(), modernFonts(), thirdPartyLicenses()],
  // Mermaid would bring a second KaTeX.
  resolve: { dedupe: ['katex'] },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    // The security policy allows no `data:` address, so every font and picture stays a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ['index.html', 'diagram.html'] },
  },
  server: {
    proxy: Object.fromEntries(['/v1', '/api', '/health', '/version'].map((path) => [path, { target: server }])),
  },
});
