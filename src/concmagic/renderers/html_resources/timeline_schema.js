// Generated from renderers/schema.py by `make schema`: change it there.

/** A number of the head.
 * @typedef {object} Chip
 * @property {string} label
 * @property {string} value
 * @property {string} note
 * @property {string} help
 */
/** A part of "where it went", its length in ns; `steps` are lane, begin and length of each stretch.
 * @typedef {object} BandPart
 * @property {number} length
 * @property {string} label
 * @property {string} told
 * @property {number} code
 * @property {number[]} steps
 */
/** A state, and how long it lasted in all.
 * @typedef {object} LegendEntry
 * @property {number} code
 * @property {string} label
 * @property {string} length
 */
/** What tracing cost, and whether that is much.
 * @typedef {object} Cost
 * @property {string} text
 * @property {boolean} high
 */
/** A lane; `parent` is the number of the lane it hangs under, -1 for none.
 * @typedef {object} Lane
 * @property {string} name
 * @property {number} depth
 * @property {number} flags
 * @property {number} ending
 * @property {string} text
 * @property {number} parent
 * @property {string} detail
 * @property {number} place
 * @property {number[]} sums
 */
/** What a box of a lane shows; `line` is 0 where the cell has none for it.
 * @typedef {object} BoxKind
 * @property {number} code
 * @property {string} full
 * @property {string} short
 * @property {string} place
 * @property {number} line
 */
/** Several states merged: `code` is MIXED, the shares are sixteenths by code.
 * @typedef {object} MixedKind
 * @property {number} code
 * @property {number[]} shares
 */
/** The calls of one lane: rows by depth, and how many calls are deeper than the last.
 * @typedef {object} LaneCalls
 * @property {number} lane
 * @property {number} deeper
 * @property {number[][]} rows
 */
/** One call.
 * @typedef {object} CallKind
 * @property {string} name
 * @property {string} place
 */
/** Several calls as one box, without a name where they are of several functions; `spent` is in words.
 * @typedef {object} CallsKind
 * @property {string} name
 * @property {string} place
 * @property {number} calls
 * @property {string} spent
 */
/** The arrows as columns, ascending by when they arrive; `kind` counts in Words.flows.
 * @typedef {object} Flows
 * @property {number[]} kind
 * @property {number[]} source
 * @property {number[]} ago
 * @property {number[]} target
 * @property {number[]} steps
 */
/** An arrow of a deadlock: from the lane that waits to the one that it needs.
 * @typedef {object} Need
 * @property {number} source
 * @property {number} target
 * @property {number} at
 */
/** A finding, from when to when it holds, and its lanes.
 * @typedef {object} Finding
 * @property {"warning" | "note"} severity
 * @property {string} message
 * @property {string} hint
 * @property {string} lint
 * @property {number} start
 * @property {number} end
 * @property {number[]} lanes
 */
/** A mark of the user's.
 * @typedef {object} Mark
 * @property {string} label
 * @property {number} start
 * @property {number} end
 */
/** When a lane printed.
 * @typedef {object} Prints
 * @property {number} lane
 * @property {number[]} steps
 */
/** A stretch of time that a button shows.
 * @typedef {object} Stretch
 * @property {number} start
 * @property {number} end
 * @property {string} label
 */
/** Steps of a number over time; `top` is what the full height stands for.
 * @typedef {object} Curve
 * @property {string} label
 * @property {number[]} steps
 * @property {number[]} values
 * @property {number} top
 * @property {string} note
 */
/** Words for merged calls.
 * @typedef {object} CallWords
 * @property {string} several
 * @property {string} shorter
 * @property {string} total
 * @property {string} deeper
 */
/** Words for one kind of arrow, as its target and as its source says it.
 * @typedef {object} FlowWords
 * @property {string} arrives
 * @property {string} leaves
 */
/** Every packed row, by its name.
 * @typedef {object} Rows
 * @property {Chip} Chip
 * @property {BandPart} BandPart
 * @property {LegendEntry} LegendEntry
 * @property {Cost} Cost
 * @property {Lane} Lane
 * @property {BoxKind} BoxKind
 * @property {MixedKind} MixedKind
 * @property {LaneCalls} LaneCalls
 * @property {CallKind} CallKind
 * @property {CallsKind} CallsKind
 * @property {Flows} Flows
 * @property {Need} Need
 * @property {Finding} Finding
 * @property {Mark} Mark
 * @property {Prints} Prints
 * @property {Stretch} Stretch
 * @property {Curve} Curve
 * @property {CallWords} CallWords
 * @property {FlowWords} FlowWords
 */
/** A row as it is packed. @template {keyof Rows} K @typedef {unknown[] & {row?: K}} Packed */
/** One category on one background; colours are #rrggbb.
 * @typedef {object} Look
 * @property {string} fill
 * @property {string} stroke
 * @property {string} ink
 * @property {"" | "cross" | "diagonal" | "back" | "bars" | "dots"} hatch
 * @property {string} hatch_colour
 * @property {number} height
 */
/** All colours of the picture on one background.
 * @typedef {object} Theme
 * @property {string} name
 * @property {string} background
 * @property {string} panel
 * @property {string} text
 * @property {string} muted
 * @property {string} grid
 * @property {string} accent
 * @property {string} good
 * @property {string} bad
 * @property {Look[]} states
 */
/** `sentences.PICTURE_WORDS`; {x}, {n} and {name} are filled in by the script.
 * @typedef {object} Words
 * @property {string} canvas
 * @property {string} keys
 * @property {string} hint
 * @property {string} hintCalls
 * @property {Packed<"CallWords">} calls
 * @property {string} callsOf
 * @property {string} noCalls
 * @property {string} fit
 * @property {string} undo
 * @property {string} where
 * @property {string} path
 * @property {string} noLanes
 * @property {string} zoomTo
 * @property {string} highlight
 * @property {string} merged
 * @property {string} length
 * @property {string} since
 * @property {string} alive
 * @property {string} returned
 * @property {Packed<"FlowWords">[]} flows
 * @property {string} printed
 * @property {string[]} states
 */
/** All calls; recorded until `until`, or to the end where that is -1.
 * @typedef {object} Calls
 * @property {(Packed<"CallKind"> | Packed<"CallsKind">)[]} kinds
 * @property {Packed<"LaneCalls">[]} lanes
 * @property {number} until
 */
/** All that the script draws.
 * @typedef {object} Payload
 * @property {string} headline
 * @property {Packed<"Chip">[]} chips
 * @property {Packed<"BandPart">[]} band
 * @property {Packed<"LegendEntry">[]} legend
 * @property {Packed<"Cost">} cost
 * @property {string[]} notes
 * @property {number} unit
 * @property {number} wall
 * @property {Packed<"Lane">[]} lanes
 * @property {string[]} places
 * @property {number[][]} rows
 * @property {Calls} calls
 * @property {(Packed<"BoxKind"> | Packed<"MixedKind">)[]} kinds
 * @property {Packed<"Flows">} flows
 * @property {Packed<"Need">[]} needs
 * @property {Packed<"Finding">[]} findings
 * @property {Packed<"Mark">[]} marks
 * @property {Packed<"Prints">[]} prints
 * @property {Packed<"Stretch">[]} loupe
 * @property {Packed<"Curve">[]} curves
 * @property {Record<string, string>} source
 * @property {Theme[]} themes
 * @property {string} font
 * @property {Words} words
 */

const NOTHING = -1, SIXTEENTHS = 16, GROUP = 1, FOLD = 2, MACHINERY = 4, ENDED_WELL = 1, ENDED_BADLY = 2, STATES = 11, RUNNING = 0, OUTSIDE = 6, UNKNOWN = 10;

/** The fields of each packed array, in their order. @type {{[K in keyof Rows]: string}} */
const FIELDS = {
  Chip: "label value note help",
  BandPart: "length label told code steps",
  LegendEntry: "code label length",
  Cost: "text high",
  Lane: "name depth flags ending text parent detail place sums",
  BoxKind: "code full short place line",
  MixedKind: "code shares",
  LaneCalls: "lane deeper rows",
  CallKind: "name place",
  CallsKind: "name place calls spent",
  Flows: "kind source ago target steps",
  Need: "source target at",
  Finding: "severity message hint lint start end lanes",
  Mark: "label start end",
  Prints: "lane steps",
  Stretch: "start end label",
  Curve: "label steps values top note",
  CallWords: "several shorter total deeper",
  FlowWords: "arrives leaves",
};
