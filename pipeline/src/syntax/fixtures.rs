//! Fixtures: what each language with a grammar gives, on one source that shows the shapes of its items.
//!
//! Rust and Python have their tests beside the code that they drive, in `nodes.rs`. Here, each node is written as its
//! kind, its symbol and its lines; the first line of a source is 1.

use super::{Node, anatomy, language, nodes};

/// Checks nodes, written as `kind symbol first-last`.
#[track_caller]
fn check(language_name: &str, source: &str, expected: &[&str]) {
    let source = source.strip_prefix('\n').expect("because the fixtures begin on a line of their own");
    let shown = |node: &Node| format!("{} {} {}-{}", node.kind.as_str(), node.symbol, node.start_line, node.end_line);
    let language = language(language_name).expect("because the fixtures name languages of the table");
    let found: Vec<_> = nodes(language, source).iter().map(shown).collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn javascript() {
    check(
        "javascript",
        r#"
/** @file Things. */

import a from 'a';

/**
 * Adds.
 */
export function add(a, b) {
  function inner() {}
  const noNode = () => inner();
  return a + b;
}

// Multiplies.
export const mul = (a, b) => a * b;

export default function main() {}

const one = 1, two = () => 2;
const config = {
  // How long.
  timeout: 10,
  start() {
    go();
  },
  stop: async () => {},
};

exports.run = function () {
  return 1;
};
Shape.prototype.area = function () {};

@sealed
export class Shape extends Base {
  #size = 1;
  static { init(); }

  constructor(a) {
    super(a);
  }

  /** Grows. */
  @bound
  grow = () => {
    this.#size++;
  };

  get size() { return this.#size; }
  static async *all() {}
}

(function () {
  function hidden() {}
})();
const Anon = class {
  m() {}
};
export default {
  name: 'x',
  data() { return {}; },
};
"#,
        &[
            "run (top) 1-3",
            "function add 5-12",
            "function add.inner 9-9",
            "function mul 14-15",
            "function main 17-17",
            "function two 19-19",
            "run config.(top) 20-22",
            "function config.start 23-25",
            "function config.stop 26-26",
            "function exports.run 29-31",
            "function Shape.prototype.area 32-32",
            "class Shape 34-51",
            "function Shape.constructor 39-41",
            "function Shape.grow 43-47",
            "function Shape.size 49-49",
            "function Shape.all 50-50",
            "run (top) 53-53",
            "function hidden 54-54",
            "run (top) 55-55",
            "class Anon 56-58",
            "function Anon.m 57-57",
            "run default.(top) 59-60",
            "function default.data 61-61",
        ],
    );
}

#[test]
fn typescript() {
    check(
        "typescript",
        r#"
import { A } from './a';

export interface Shape<T> {
  area(): number;
}

/** Either. */
export type Either<L, R> = L | R;

export declare function over(a: string): void;
export function over(a: string): void;
export function over(a: number): void;
export function over(a: unknown): void {}

export const enum Color { Red, Green }

declare module 'x' {
  export function y(): void;
}

namespace Geo.Inner {
  export const origin = (): number => 0;
}

@Component({ selector: 'a' })
export abstract class Base<T> implements Shape<T> {
  private readonly a = 1;

  /** Docs. */
  @Input() name: string;

  @HostListener('x')
  on(): void {}

  abstract area(): number;
  handler = async (e: Event): Promise<void> => {};
}

describe('Base', () => {
  const x = 1;

  beforeEach(() => {});

  // Checks.
  it('has an area', async () => {
    expect(1);
  });

  describe.skip("inner", function () {
    test.each([1, 2])('of %d', (n) => {});
    it('waits');
  });
});
"#,
        &[
            "run (top) 1-1",
            "trait Shape 3-5",
            "type-alias Either 7-8",
            "function over 10-10",
            "function over 11-11",
            "function over 12-12",
            "function over 13-13",
            "enum Color 15-15",
            "run x.(top) 17-17",
            "function x.y 18-18",
            "run Geo.Inner.(top) 21-21",
            "function Geo.Inner.origin 22-22",
            "class Base 25-37",
            "function Base.on 32-33",
            "function Base.area 35-35",
            "function Base.handler 36-36",
            "run Base.(top) 39-42",
            "test Base.has an area 44-47",
            "run Base.inner.(top) 49-49",
            "test Base.inner.of %d 50-50",
            "run Base.inner.(top) 51-52",
        ],
    );
}

#[test]
fn tsx() {
    check(
        "tsx",
        r#"
import React from 'react';

type Props = { name: string };

/** Greets. */
export const Hello: React.FC<Props> = ({ name }) => {
  const onClick = () => alert(name);
  return <button onClick={onClick}>{`Hi ${name}`}</button>;
};

export default function App(): JSX.Element {
  return (
    <>
      {[1, 2].map((n) => <Hello key={n} name="x" />)}
    </>
  );
}

const broken = (<div>;
function after() {}
"#,
        &["run (top) 1-1", "type-alias Props 3-3", "function Hello 5-9", "function App 11-17", "run (top) 19-20"],
    );
}

#[test]
fn go() {
    check(
        "go",
        r#"
// Package a does things.
package a

import "fmt"

// Limit is the limit.
const Limit = 10

const (
	A = iota
	B
)

var ErrX = errors.New("x")

// Stack holds things.
type Stack[T any] struct {
	items []T
}

type (
	// ID names.
	ID string
	Reader interface {
		Read() error
	}
)

type Alias = Stack[int]

// Push adds.
func (s *Stack[T]) Push(item T) {
	s.items = append(s.items, item)
}

//go:noinline
func New() *Stack[int] {
	f := func() {}
	return nil
}

func TestPush(t *testing.T) {}
func Testify() {}
func BenchmarkX(b *testing.B) {}
func broken( {
func after() {}
"#,
        &[
            "run (top) 1-4",
            "const Limit 6-7",
            "const A 9-12",
            "const ErrX 14-14",
            "struct Stack 16-19",
            "run (top) 21-21",
            "type-alias ID 22-23",
            "trait Reader 24-26",
            "type-alias Alias 29-29",
            "function Stack.Push 31-34",
            "function New 36-40",
            "test TestPush 42-42",
            "function Testify 43-43",
            "test BenchmarkX 44-44",
            "function broken 45-46",
        ],
    );
}

#[test]
fn c() {
    check(
        "c",
        r#"
/* License. */

#ifndef A_H
#define A_H
#include <stdio.h>

#define LIMIT 10
/** The larger. */
#define MAX(a, b) \
    ((a) > (b) ? (a) : (b))

#ifdef __cplusplus
extern "C" {
#endif

/// Adds.
int add(int a, int b);
extern int *lookup(const char *name), count;
typedef int (*handler)(int);
int (*pointer)(int);

typedef struct node {
    struct node *next;
} node_t;

struct point {
    int x; ///< across
};

enum color { RED, GREEN };
union u { int i; };
struct point origin = { 0 };

static const struct option {
    int a;
} options[] = {
    { 1 },
};

#if X
/**
 * Runs.
 */
static inline char *
run(struct point *p)
{
    int local(3);
    return 0;
}
#else
void (*get(void))(int) { return 0; }
#endif

int old(a) int a; { return a; }
#ifdef __cplusplus
}
#endif
#endif
int broken( {
int after(void) { return 1; }
"#,
        &[
            "run (top) 1-7",
            "macro MAX 8-10",
            "run (top) 12-14",
            "function add 16-17",
            "function lookup 18-18",
            "type-alias handler 19-19",
            "run (top) 20-20",
            "struct node_t 22-24",
            "struct point 26-28",
            "enum color 30-30",
            "union u 31-31",
            "run (top) 32-32",
            "struct option 34-36",
            "run (top) 37-40",
            "function run 41-49",
            "run (top) 50-50",
            "function get 51-51",
            "function old 54-54",
            "run (top) 55-59",
            "function after 60-60",
        ],
    );
}

#[test]
fn a_header_of_cpp() {
    check(
        "c",
        r#"
#pragma once

namespace a {

/// A box.
class Box {
 public:
  int get() const { return n_; }
};

template <typename T>
T twice(T x) { return x + x; }

}  // namespace a

int plain(int x);
static inline int half(int x) { return x / 2; }
"#,
        &[
            "run (top) 1-1",
            "run a::(top) 3-3",
            "class a::Box 5-9",
            "function a::Box::get 8-8",
            "function a::twice 11-12",
            "run a::(top) 14-14",
            "function plain 16-16",
            "function half 17-17",
        ],
    );
}

#[test]
fn cpp() {
    check(
        "cpp",
        r#"
#pragma once
#include <vector>

namespace a::b {
namespace {
int hidden() { return 1; }
}  // namespace

/// A box.
template <typename T>
class Box : public Base<T> {
 public:
  explicit Box(int n) : n_(n) {}
  ~Box();
  Box(const Box&) = delete;

  /// Gets.
  T get() const;
  virtual void draw() = 0;
  template <class U> U as() { return U(); }
  bool operator<(const Box& other) const { return false; }
  explicit operator bool() const { return true; }
  struct Inner {
    int f() { return 1; }
    int g;
  };
  enum class Kind { A };

 private:
  int n_;
  friend class X;
};

template <typename T>
T Box<T>::get() const {
  auto l = [](int x) { return x; };
  return n_;
}

Box::~Box() {}
std::ostream& operator<<(std::ostream& o, const Box& b) { return o; }
int Box::Inner::f() { return 2; }
using Alias = Box<int>;
template <typename T> concept C = true;
struct Plain { int a; };
int global = 1;
}  // namespace a::b

TEST(Box, Gets) {
  EXPECT_EQ(1, 1);
}
int main() { return 0; }
"#,
        &[
            "run (top) 1-2",
            "run a::b::(top) 4-4",
            "run a::b::(top) 5-5",
            "function a::b::hidden 6-6",
            "run a::b::(top) 7-7",
            "class a::b::Box 9-32",
            "function a::b::Box::Box 13-13",
            "function a::b::Box::~Box 14-14",
            "function a::b::Box::Box 15-15",
            "function a::b::Box::get 17-18",
            "function a::b::Box::draw 19-19",
            "function a::b::Box::as 20-20",
            "function a::b::Box::operator< 21-21",
            "function a::b::Box::operator bool() const 22-22",
            "struct a::b::Box::Inner 23-26",
            "function a::b::Box::Inner::f 24-24",
            "enum a::b::Box::Kind 27-27",
            "function a::b::Box::get 34-38",
            "function a::b::Box::~Box 40-40",
            "function a::b::operator<< 41-41",
            "function a::b::Box::Inner::f 42-42",
            "type-alias a::b::Alias 43-43",
            "trait a::b::C 44-44",
            "struct a::b::Plain 45-45",
            "run a::b::(top) 46-47",
            "test Box::Gets 49-51",
            "function main 52-52",
        ],
    );
}

#[test]
fn java() {
    check(
        "java",
        r#"
package a;

import java.util.List;

/**
 * A box.
 */
@Immutable
public final class Box<T> extends Base {
    private static final int LIMIT = 10;

    /** Makes. */
    public Box(int limit) {
        this.limit = limit;
    }

    @Override
    @Test(timeout = 1)
    public void works() {
        Runnable r = new Runnable() { public void run() {} };
    }

    @org.junit.jupiter.api.Test void alsoWorks() {}

    static class Inner {
        int f() { return 1; }
    }

    enum Color {
        RED { int g() { return 1; } }, GREEN;
        int g() { return 2; }
    }

    record Point(int x, int y) {
        Point { check(x); }
    }

    @interface Mark { int value(); }
}

interface Shape {
    double area();
    default void draw() {}
}
"#,
        &[
            "run (top) 1-3",
            "class Box 5-39",
            "function Box.Box 12-15",
            "test Box.works 17-21",
            "test Box.alsoWorks 23-23",
            "class Box.Inner 25-27",
            "function Box.Inner.f 26-26",
            "enum Box.Color 29-32",
            "function Box.Color.g 31-31",
            "struct Box.Point 34-36",
            "function Box.Point.Point 35-35",
            "trait Box.Mark 38-38",
            "trait Shape 41-44",
            "function Shape.area 42-42",
            "function Shape.draw 43-43",
        ],
    );
}

#[test]
fn csharp() {
    check(
        "csharp",
        r#"
using System;

namespace A.B
{
    /// <summary>A box.</summary>
    [Serializable]
    public class Box<T> : Base
    {
        private int limit = 1;

        public int Size { get; set; }

        /// <summary>Makes.</summary>
        public Box(int limit)
        {
            this.limit = limit;
        }

        ~Box() { }

        [Fact]
        public async Task Works()
        {
            int Local(int x) => x;
        }

        [Xunit.Theory, Trait("a", "b")]
        public void Also(int x) => Check(x);

        public static Box<T> operator +(Box<T> a, Box<T> b) => a;

        #region Inner
        struct Inner { int F() { return 1; } }
        enum Color { Red }
        #endregion
    }

    interface IShape { double Area(); }
    record Point(int X, int Y);
    delegate void Handler(int a);
}
"#,
        &[
            "run (top) 1-1",
            "run A.B.(top) 3-4",
            "class A.B.Box 5-36",
            "function A.B.Box.Box 13-17",
            "function A.B.Box.Box 19-19",
            "test A.B.Box.Works 21-25",
            "function A.B.Box.Works.Local 24-24",
            "test A.B.Box.Also 27-28",
            "function A.B.Box.+ 30-30",
            "struct A.B.Box.Inner 33-33",
            "function A.B.Box.Inner.F 33-33",
            "enum A.B.Box.Color 34-34",
            "trait A.B.IShape 38-38",
            "function A.B.IShape.Area 38-38",
            "struct A.B.Point 39-39",
            "type-alias A.B.Handler 40-40",
        ],
    );
}

#[test]
fn ruby() {
    check(
        "ruby",
        r#"
# frozen_string_literal: true

require 'set'

# Geometry.
module Geo
  LIMIT = 10

  # A box.
  class Box < Base
    include Comparable
    attr_reader :size

    # Makes.
    def initialize(size)
      @size = size
    end

    def self.of(size) = new(size)

    class << self
      def all; end
    end

    # Grows.
    private def grow!
      text = <<~EOS
        def not_a_node
        end
      EOS
      text
    end

    def <=>(other)
      size <=> other.size
    end
  end
end

class Geo::BoxTest < Minitest::Test
  def test_size; end
  def helper; end
end

RSpec.describe Geo::Box do
  let(:box) { Geo::Box.new(1) }

  context "when empty" do
    # Checks.
    it 'is small' do
      expect(box).to be_small
    end
  end
end
"#,
        &[
            "run (top) 1-3",
            "run Geo::(top) 5-7",
            "class Geo::Box 9-37",
            "function Geo::Box::initialize 14-17",
            "function Geo::Box::of 19-19",
            "function Geo::Box::all 22-22",
            "function Geo::Box::grow! 25-32",
            "function Geo::Box::<=> 34-36",
            "class Geo::BoxTest 40-43",
            "test Geo::BoxTest::test_size 41-41",
            "function Geo::BoxTest::helper 42-42",
            "run Geo::Box::(top) 45-46",
            "run Geo::Box::when empty::(top) 48-48",
            "test Geo::Box::when empty::is small 49-52",
        ],
    );
}

#[test]
fn php() {
    check(
        "php",
        r#"
<html>
<?php
namespace App;

use A\B;

/**
 * A box.
 */
#[Entity]
final class Box extends Base implements Shape
{
    use Sized;
    private int $size = 1;

    /** Makes. */
    public function __construct(private int $limit) {}

    #[Route('/a')]
    public static function of(int $a): self
    {
        return new self($a);
    }
}

interface Shape { public function area(): float; }
trait Sized { function size() { return 1; } }
enum Color: string { case Red = 'r'; public function f() {} }

// Helps.
function help($a) { return <<<EOT
  function no() {}
  EOT;
}

if (!function_exists('poly')) {
    function poly() {}
}

class BoxTest extends TestCase
{
    public function testSize(): void {}
    #[Test]
    public function alsoSize(): void {}
}

it('works', function () {
    expect(1);
});
?>
</html>
"#,
        &[
            "run (top) 1-5",
            "class Box 7-24",
            "function Box::__construct 16-17",
            "function Box::of 19-23",
            "trait Shape 26-26",
            "function Shape::area 26-26",
            "trait Sized 27-27",
            "function Sized::size 27-27",
            "enum Color 28-28",
            "function Color::f 28-28",
            "function help 30-34",
            "run (top) 36-36",
            "function poly 37-37",
            "class BoxTest 40-45",
            "test BoxTest::testSize 42-42",
            "test BoxTest::alsoSize 43-44",
            "test works 47-49",
            "run (top) 50-51",
        ],
    );
}

#[test]
fn bash() {
    check(
        "bash",
        r#"
#!/bin/bash
set -euo pipefail

LIMIT=10

# Says it.
say() {
  echo "$1"
  inner() { :; }
}

function run {
  cat <<EOF
f() {
EOF
}

if [ -n "$X" ]; then
  only_then() { :; }
fi

run "$@"
"#,
        &[
            "run (top) 1-2",
            "run (top) 4-4",
            "function say 6-10",
            "function say.inner 9-9",
            "function run 12-16",
            "run (top) 18-18",
            "function only_then 19-19",
            "run (top) 22-22",
        ],
    );
}

#[test]
fn kotlin() {
    check(
        "kotlin",
        r#"
package a

import b.C

/** A box. */
@Serializable
data class Box<T>(val size: Int) : Base() {
    private val limit = 10

    constructor() : this(1)

    /** Grows. */
    override fun grow(by: Int): Int {
        fun inner() = by
        return size + inner()
    }

    companion object {
        fun of(size: Int) = Box<Int>(size)
    }
}

interface Shape {
    fun area(): Double
}

enum class Color {
    RED,
    GREEN;

    fun f() = 1
}

object Single {
    fun g() {}
}
typealias Boxes = List<Box<Int>>

fun String.shout() = uppercase()

class BoxTest {
    @Test
    fun `is small`() {}
}
"#,
        &[
            "run (top) 1-3",
            "class Box 5-21",
            "function Box.constructor 10-10",
            "function Box.grow 12-16",
            "function Box.grow.inner 14-14",
            "function Box.of 19-19",
            "trait Shape 23-25",
            "function Shape.area 24-24",
            "enum Color 27-32",
            "function Color.f 31-31",
            "class Single 34-36",
            "function Single.g 35-35",
            "type-alias Boxes 37-37",
            "function shout 39-39",
            "class BoxTest 41-44",
            "test BoxTest.is small 42-43",
        ],
    );
}

#[test]
fn lua() {
    check(
        "lua",
        r#"
local M = {}

-- Adds.
function M.add(a, b)
  return a + b
end

function M:method()
  local function inner() end
end

local function helper() end

M.assigned = function() end

local t = {
  run = function()
    return 1
  end,
}

describe("M", function()
  it("adds", function()
    assert(M.add(1, 2) == 3)
  end)
end)

return M
"#,
        &[
            "run (top) 1-1",
            "function M.add 3-6",
            "function M.method 8-10",
            "function M.method.inner 9-9",
            "function helper 12-12",
            "run (top) 14-16",
            "function run 17-19",
            "run M.(top) 22-22",
            "test M.adds 23-25",
            "run (top) 28-28",
        ],
    );
}

#[test]
fn zig() {
    check(
        "zig",
        r#"
//! A file.
const std = @import("std");

/// A box.
pub const Box = struct {
    size: u32,

    /// Makes.
    pub fn init(size: u32) Box {
        return .{ .size = size };
    }

    test "init" {
        _ = Box.init(1);
    }
};

const Color = enum { red, green };
const Either = union(enum) { a: u8, b: u16 };
const Err = error{ Bad, Worse };

pub fn List(comptime T: type) type {
    return struct {
        items: []T,

        pub fn append(self: *@This(), item: T) void {
            _ = item;
        }
    };
}

test "adds" {
    try std.testing.expect(true);
}
"#,
        &[
            "run (top) 1-2",
            "struct Box 4-16",
            "function Box.init 8-11",
            "test Box.init 13-15",
            "enum Color 18-18",
            "union Either 19-19",
            "enum Err 20-20",
            "function List 22-30",
            "function List.append 26-28",
            "test adds 32-34",
        ],
    );
}

#[test]
fn scala() {
    check(
        "scala",
        r#"
package a

import b.C

/** A box. */
@deprecated("x")
final case class Box[T](size: Int) extends Base {
  private val limit = 10

  /** Grows. */
  def grow(by: Int): Int = {
    def inner = by
    size + inner
  }

  def this() = this(1)
}

object Box {
  def of(size: Int): Box[Int] = new Box(size)
}

trait Shape:
  def area: Double

enum Color:
  case Red, Green
  def f = 1

type Boxes = List[Box[Int]]

given ordering: Ordering[Shape] with
  def compare(a: Shape, b: Shape) = 0

extension (s: String)
  def shout: String = s.toUpperCase

class BoxSuite {
  @Test def small(): Unit = ()
}
"#,
        &[
            "run (top) 1-3",
            "class Box 5-17",
            "function Box.grow 10-14",
            "function Box.grow.inner 12-12",
            "function Box.this 16-16",
            "class Box 19-21",
            "function Box.of 20-20",
            "trait Shape 23-24",
            "function Shape.area 24-24",
            "enum Color 26-28",
            "function Color.f 28-28",
            "type-alias Boxes 30-30",
            "class ordering 32-33",
            "function ordering.compare 33-33",
            "run (top) 35-35",
            "function shout 36-36",
            "class BoxSuite 38-40",
            "test BoxSuite.small 39-39",
        ],
    );
}

#[test]
fn swift() {
    check(
        "swift",
        r#"
import Foundation

/// A box.
@frozen
public struct Box<T>: Shape {
    private let limit = 10
    var size: Int { 1 }

    /// Makes.
    public init(size: Int) {
        self.size = size
    }

    deinit {}

    @discardableResult
    func grow(by amount: Int) -> Int {
        func inner() -> Int { amount }
        return size + inner()
    }

    subscript(index: Int) -> Int { index }
}

protocol Shape {
    func area() -> Double
}

enum Color {
    case red
    func f() {}
}

extension Box: Equatable {
    static func == (a: Box, b: Box) -> Bool { true }
}

class BoxTests: XCTestCase {
    func testSize() {}
    func helper() {}
}

actor Counter { func add() {} }
typealias Boxes = [Box<Int>]
func free() {}
"#,
        &[
            "run (top) 1-1",
            "struct Box 3-23",
            "function Box.init 9-12",
            "function Box.deinit 14-14",
            "function Box.grow 16-20",
            "function Box.grow.inner 18-18",
            "function Box.subscript 22-22",
            "trait Shape 25-27",
            "function Shape.area 26-26",
            "enum Color 29-32",
            "function Color.f 31-31",
            "impl impl Box 34-36",
            "function Box.== 35-35",
            "class BoxTests 38-41",
            "test BoxTests.testSize 39-39",
            "function BoxTests.helper 40-40",
            "class Counter 43-43",
            "function Counter.add 43-43",
            "type-alias Boxes 44-44",
            "function free 45-45",
        ],
    );
}

#[test]
fn java_has_parameters() {
    let java = language("java").expect("because the table has it");
    let parameters = |text: &str| anatomy(java, text).parameters;
    let source = "/** @param a x */\n@X(b)\n<T> void f(@Named(\"c\") final List<D> a, int[] e, String... rest) {}";
    assert_eq!(parameters(source), ["a", "e", "rest"]);
    assert_eq!(parameters("int f(Outer this, int a) { Runnable r = b -> {}; }"), ["a"]);
    // A constructor does not parse without its class.
    assert_eq!(parameters("Box(int a) {}"), [""; 0]);
    let found = anatomy(java, "/**\n * Does.\n * @param a x\n */\nvoid f(int b) { return b; }");
    let doc: Vec<_> = found.doc.iter().map(|line| (line.line, line.text.as_str())).collect();
    assert_eq!(doc, [(1, "Does."), (2, "@param a x")]);
}

#[test]
fn of_other_languages_nothing_is_said_about_parameters() {
    for (name, text) in [
        ("javascript", "function f(a) {}"),
        ("typescript", "function f(a: B) {}"),
        ("go", "func f(a int) {}"),
        ("c", "int f(int a) { return 1; }"),
        ("csharp", "int F(int a) { return 1; }"),
        ("ruby", "def f(a)\nend"),
        ("php", "<?php function f($a) {}"),
        ("kotlin", "fun f(a: Int) {}"),
    ] {
        let language = language(name).expect("because the table has it");
        assert_eq!(anatomy(language, text).parameters, [""; 0], "{name}");
    }
}
