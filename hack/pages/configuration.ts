// docs/configuration.md from the schema table of src/config.
import { CONFIG_SECTIONS, type ConfigKey, DEFAULT_CONFIG_DIR, DEFAULT_CONFIG_FILE, onDisk } from '../../src/config/index.ts';
import { code, markdownTable, pageHead } from './markdown.ts';

/** The page. */
export function configurationPage(): string {
  const lines = pageHead('Configuration', 'src/config/schema.ts', [
    `berth runs without any configuration. It reads \`${DEFAULT_CONFIG_FILE}\` and then \`${DEFAULT_CONFIG_DIR}/*.toml\` in lexical order, both TOML and both optional; with \`berth serve --config FILE\` it reads that file alone. A later file replaces a value of an earlier one. Lists of tables (\`[[...]]\`) are merged instead: an entry replaces the one with the same first column and is added otherwise; the built-in entries count only when no file gives any. \`berth serve --set KEY=VALUE\` is stronger than every file.`,
    'What is not understood (an unknown key, a wrong type, a value out of range) keeps the daemon from starting, with a message that names the file, the key and what is allowed. Keys are read once, when the daemon starts; running pods survive its restart.',
  ]);
  for (const section of CONFIG_SECTIONS) {
    lines.push(section.name === '' ? '## Top level' : `## [${section.name}]`, '', section.summary, '');
    lines.push(...markdownTable(['Key', 'Type', 'Default', 'Meaning'], section.keys.map(keyRow)));
    for (const key of section.keys) lines.push(...rowsTable(key));
  }
  lines.push('## Example', '', '```toml', ...EXAMPLE, '```', '');
  return lines.join('\n');
}

function keyRow({ name, field }: ConfigKey): string[] {
  if (field.shape === 'rows') return [code(name), 'list of tables', code(JSON.stringify(field.default)), field.summary];
  const allowed = field.allowed === 'a string' ? '' : ` Allowed: ${field.allowed}.`;
  return [code(name), field.type, code(JSON.stringify(field.default)), field.summary + allowed];
}

function rowsTable({ name, field }: ConfigKey): string[] {
  if (field.shape === 'value') return [];
  const rows = Object.entries(field.columns).map(([column, each]) => {
    const fallback = each.default === undefined ? 'required' : code(JSON.stringify(each.default));
    return [code(onDisk(column)), each.type, fallback, `${each.summary} Allowed: ${each.allowed}.`];
  });
  return [
    `Columns of \`[[${name}]]\`, merged by \`${onDisk(field.identity)}\`:`,
    '',
    ...markdownTable(['Column', 'Type', 'Default', 'Meaning'], rows),
  ];
}

const EXAMPLE = [
  '# /etc/berth/conf.d/50-site.toml',
  '[network]',
  'pod_cidr = "10.120.0.0/16,fd00:10:120::/64"',
  '',
  '[[runtime.handlers]]',
  'name = "crun"',
  'path = "/opt/crun/bin/crun"',
];
