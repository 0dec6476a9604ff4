/**
 * Holds proto/cri/v1/api.proto against the CRI's table (test/fixtures/cri/cri-v1.json),
 * both ways: nothing may be missing, different or added.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import t from 'tap';

interface TableField {
  name: string;
  number: number;
  type: string;
  repeated?: boolean;
  deprecated?: boolean;
}
interface Table {
  package: string;
  services: Record<string, Record<string, { request: string; response: string; responseStream?: boolean }>>;
  messages: Record<string, { fields: TableField[] }>;
  enums: Record<string, Record<string, number>>;
}

const root = join(import.meta.dirname, '../../..');
const table: Table = JSON.parse(readFileSync(join(root, 'test/fixtures/cri/cri-v1.json'), 'utf8'));
const parsed = new protobuf.Root().loadSync(join(root, 'proto/cri/v1/api.proto'), { keepCase: true });
parsed.resolveAll();
const namespace = parsed.lookup(table.package) as protobuf.Namespace;

/** The field as the table writes it. */
function described(field: protobuf.Field): TableField {
  const type = field instanceof protobuf.MapField ? `map<${field.keyType}, ${field.type}>` : field.type;
  return {
    name: field.name,
    number: field.id,
    type,
    ...(field.repeated && { repeated: true }),
    ...(field.options?.deprecated === true && { deprecated: true }),
  };
}

function enumsOf(space: protobuf.NamespaceBase, prefix = ''): [string, Record<string, number>][] {
  return space.nestedArray.flatMap((entry): [string, Record<string, number>][] => {
    if (entry instanceof protobuf.Enum) return [[prefix + entry.name, { ...entry.values }]];
    return entry instanceof protobuf.Type ? enumsOf(entry, `${prefix}${entry.name}.`) : [];
  });
}

t.test('the table is the whole contract', async (t) => {
  t.equal(Object.keys(table.messages).length, 175);
  t.equal(Object.keys(table.enums).length, 11);
  t.equal(Object.values(table.services).flatMap((methods) => Object.keys(methods)).length, 43);
});

t.test('messages: the same names', async (t) => {
  const names = namespace.nestedArray.filter((entry) => entry instanceof protobuf.Type).map((entry) => entry.name);
  t.same(names.sort(), Object.keys(table.messages).sort());
});

t.test('messages: the same fields', async (t) => {
  for (const [name, message] of Object.entries(table.messages)) {
    const type = namespace.lookupType(name);
    t.same(type.fieldsArray.map(described).sort(byNumber), [...message.fields].sort(byNumber), name);
    t.same(type.oneofsArray, [], `${name} has no oneof and no optional field`);
  }
});

t.test('enums: the same values', async (t) => {
  t.same(Object.fromEntries(enumsOf(namespace)), table.enums);
});

t.test('services: the same methods', async (t) => {
  const services = namespace.nestedArray.filter((entry) => entry instanceof protobuf.Service);
  t.same(services.map((service) => service.name).sort(), Object.keys(table.services).sort());
  for (const service of services) {
    const methods = service.methodsArray.map((method) => [
      method.name,
      {
        request: method.requestType,
        response: method.responseType,
        ...(method.requestStream && { requestStream: true }),
        ...(method.responseStream && { responseStream: true }),
      },
    ]);
    t.same(Object.fromEntries(methods), table.services[service.name], service.name);
  }
});

t.test('every message, service, method and enum value set has a comment in the source', async (t) => {
  const source = readFileSync(join(root, 'proto/cri/v1/api.proto'), 'utf8').split('\n');
  const bare = source.filter((line, at) => /^\s*(rpc|service|enum) /.test(line) && !source[at - 1]?.trim().startsWith('//'));
  t.same(bare, []);
});

function byNumber(one: TableField, other: TableField): number {
  return one.number - other.number;
}
