/** The page's colours for diagrams. The picture stands alone, so they are given as numbers; fonts are the system's. */

import type { MermaidConfig } from 'mermaid';

const FONT = "system-ui, -apple-system, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

const LIGHT = {
  background: '#f4f7f5',
  primaryColor: '#deece7',
  primaryTextColor: '#18211e',
  primaryBorderColor: '#1d6a5a',
  secondaryColor: '#f3ead6',
  tertiaryColor: '#e8edf5',
  lineColor: '#45524d',
  textColor: '#18211e',
  noteBkgColor: '#f3ead6',
  noteTextColor: '#18211e',
  edgeLabelBackground: '#f4f7f5',
};

const DARK = {
  background: '#171d1b',
  primaryColor: '#24403a',
  primaryTextColor: '#e8edea',
  primaryBorderColor: '#7fcab4',
  secondaryColor: '#423a28',
  tertiaryColor: '#2b3442',
  lineColor: '#b2bdb8',
  textColor: '#e8edea',
  noteBkgColor: '#423a28',
  noteTextColor: '#e8edea',
  edgeLabelBackground: '#171d1b',
};

/** Mermaid's settings for either theme. */
export function palette(dark: boolean): Pick<MermaidConfig, 'darkMode' | 'fontFamily' | 'themeVariables'> {
  return { darkMode: dark, fontFamily: FONT, themeVariables: { darkMode: dark, fontFamily: FONT, fontSize: '14px', ...(dark ? DARK : LIGHT) } };
}
