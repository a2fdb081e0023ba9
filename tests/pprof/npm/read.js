// Reads profiles with npm's pprof-format and with speedscope's own importer, and prints what they say as JSON.
//   node read.js NODE_MODULES PROFILE
// speedscope's package has no entry for other programs: its command opens a browser. The importer is in the bundle, which is run here up to
// the line where it would draw; what that much of it asks of a browser is stood in for.
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');
const zlib = require('zlib');

const [modules, file] = process.argv.slice(2);
const compressed = fs.readFileSync(file);

function readWithPprofFormat() {
    const {Profile} = require(path.join(modules, 'pprof-format'));
    const raw = zlib.gunzipSync(compressed);
    const profile = Profile.decode(raw);
    const encoded = Buffer.from(profile.encode());
    const text = number => profile.stringTable.strings[Number(number)];
    const functions = new Map(profile.function.map(f => [Number(f.id), text(f.name)]));
    const names = new Map(profile.location.map(l => [Number(l.id), l.line.map(line => functions.get(Number(line.functionId)))]));
    return {
        types: profile.sampleType.map(type => [text(type.type), text(type.unit)]),
        default: text(profile.defaultSampleType),
        samples: profile.sample.map(s => ({
            stack: s.locationId.flatMap(id => names.get(Number(id))),
            values: s.value.map(Number),
        })),
        mappings: profile.mapping.map(m => [text(m.filename), text(m.buildId)]),
        comments: profile.comment.map(text),
        period: Number(profile.period),
        again: encoded.toString('base64'),
    };
}

function speedscopeImporter() {
    const directory = path.join(modules, 'speedscope', 'dist', 'release');
    const bundle = fs.readdirSync(directory).find(name => /^speedscope-.*\.js$/.test(name));
    const source = fs.readFileSync(path.join(directory, bundle), 'utf8');
    const importer = source.match(/async function ([\w$]+)\([\w$]+,[\w$]+\)\{return\(await [\w$]+\)\.importProfilesFromArrayBuffer\(/);
    const drawing = source.lastIndexOf('console.log(`speedscope v');
    if (!importer || drawing < 0)
        throw new Error('speedscope: its bundle has another shape; look for its importer again');
    const anything = new Proxy(function () {}, {
        get: (_, key) => (key === Symbol.toPrimitive ? () => '' : anything), apply: () => anything, construct: () => anything, set: () => true,
    });
    globalThis.window = {location: {hash: '', protocol: 'file:', href: ''}, devicePixelRatio: 1, addEventListener() {}, matchMedia: () => anything};
    globalThis.document = anything;
    vm.runInThisContext(`${source.slice(0, drawing)}globalThis.importProfiles=${importer[1]};})();`);
    return globalThis.importProfiles;
}

async function readWithSpeedscope() {
    const importProfiles = speedscopeImporter();
    const log = console.log;
    console.log = console.error;
    const group = await importProfiles(path.basename(file), compressed.buffer.slice(compressed.byteOffset, compressed.byteOffset + compressed.length));
    console.log = log;
    return (group ? group.profiles : []).map((profile, index) => {
        const frames = [];
        profile.forEachFrame(frame => frames.push([frame.name, frame.file || '', frame.getTotalWeight(), frame.getSelfWeight()]));
        return {name: profile.getName(), shown: group.indexToView === index, total: profile.getTotalWeight(), unit: profile.getWeightUnit(), frames};
    });
}

(async () => {
    const answer = file.endsWith('.json') ? {} : {format: readWithPprofFormat()};
    answer.speedscope = await readWithSpeedscope();
    process.stdout.write(JSON.stringify(answer));
})().catch(wrong => {
    console.error(wrong);
    process.exit(1);
});
