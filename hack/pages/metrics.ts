// docs/metrics.md from the family tables of src/metrics.
import { CONFIG_KEYS } from '../../src/config/index.ts';
import { metricFamilies } from '../../src/metrics/index.ts';
import { code, markdownTable, pageHead } from './markdown.ts';

type Family = ReturnType<typeof metricFamilies>[number];

/** What each endpoint is for. */
const ENDPOINTS: Readonly<Record<Family['endpoint'], string>> = {
  '/metrics': 'What berth tells of itself.',
  '/metrics/cadvisor':
    'Figures of pods and containers in cAdvisor’s names and labels. A family is absent where the kernel gives no figure: absent is not 0.',
};

/** The page. */
export function metricsPage(): string {
  const address = CONFIG_KEYS.get('metrics.address')?.field.default;
  const lines = pageHead('Metrics', 'src/metrics', [
    `berth serves Prometheus text at \`http://${address}\` ([metrics.address](configuration.md)). Units are base units (seconds, bytes); counters count from the start of what they count. \`/healthz\` answers \`ok\` while berth runs.`,
  ]);
  const families = metricFamilies();
  for (const [endpoint, purpose] of Object.entries(ENDPOINTS)) {
    const rows = families.filter((family) => family.endpoint === endpoint).map(familyRow);
    lines.push(`## ${endpoint}`, '', purpose, '', ...markdownTable(['Name', 'Type', 'Labels', 'Meaning'], rows));
  }
  return lines.join('\n');
}

function familyRow({ name, type, labels, help }: Family): string[] {
  return [code(name), type, labels.length === 0 ? '-' : labels.map(code).join(', '), `${help}.`];
}
