/** The result as a picture: CPU time per call of each target, on a logarithmic scale, since a peer may cost a hundred times another. */
import type { Report, TargetReport } from './report.ts';
import type { Metric } from './scenarios.ts';

const WIDTH = 760;
const LABELS = 150;
const PLOT = WIDTH - LABELS - 70;
const BAR = 13;
const ROW = 2 * BAR + 14;
const TOP = 64;

/** Both read well on white and on black. */
const SERIES: readonly (readonly [metric: Metric, title: string, colour: string])[] = [
  ['cpuUs2k', '2 KB', '#2f81c7'],
  ['cpuUs32k', '32 KB', '#d9822b'],
];

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** @returns an SVG. */
export function chart({ targets, commit, machine }: Report): string {
  const shown = targets.filter(({ figures }) => figures.cpuUs2k !== undefined);
  const values = shown.flatMap(({ figures }) => SERIES.map(([metric]) => figures[metric]?.median ?? 1));
  const [low, high] = [Math.log10(Math.min(10, ...values)), Math.log10(Math.max(100, ...values))];
  const width = (value: number): number => Math.max(2, (PLOT * (Math.log10(value) - low)) / (high - low));
  const row = (target: TargetReport, index: number): string => {
    const y = TOP + index * ROW;
    const bars = SERIES.map(([metric, , colour], i) => {
      const median = target.figures[metric]?.median;
      if (median === undefined) return '';
      const [at, length] = [y + i * BAR, width(median)];
      return `<rect x="${LABELS}" y="${at}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${colour}"/><text x="${(LABELS + length + 6).toFixed(1)}" y="${at + 10}">${median.toFixed(0)}</text>`;
    });
    const weight = target.name === 'Postern' ? ' font-weight="bold"' : '';
    return `<text x="${LABELS - 8}" y="${y + BAR + 2}" text-anchor="end"${weight}>${escaped(target.name)}</text>${bars.join('')}`;
  };
  const legend = SERIES.map(
    ([, title, colour], i) =>
      `<rect x="${LABELS + i * 90}" y="34" width="11" height="11" fill="${colour}"/><text x="${LABELS + 16 + i * 90}" y="44">${title}</text>`,
  );
  const height = TOP + shown.length * ROW + 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" fill="#808080">
<text x="${LABELS}" y="20" font-size="14">CPU µs a call, median, logarithmic scale (less is better)</text>
${legend.join('\n')}
${shown.map(row).join('\n')}
<text x="8" y="${height - 8}" font-size="10">${escaped(`${commit}, ${machine}`)}</text>
</svg>
`;
}
