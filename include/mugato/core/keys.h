// Configuration keys: declared once beside the struct they fill. The declaration reads TOML, takes --set assignments, prints
// the help and the resolved configuration, and words the errors.
//
//   struct ModelOptions { int64_t width = 512; std::string kind = "transformer"; };
//   void declare(KeyTable& keys, const std::string& prefix, ModelOptions& options) {
//     keys.add(prefix + "width", &options.width, "width D of the trunk", range(8, 65536));
//     keys.add(prefix + "kind", &options.kind, "sequence model", one_of({"transformer", "lstm"}));
//   }
//   KeyTable keys;
//   declare(keys, "model.", options.model);
//   keys.read_toml(read_file("run.toml"), "run.toml");
//   keys.set("model.width=256");
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mugato {

struct TomlNode;

using KeyValue =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;
using KeyTarget = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*,
                               std::vector<std::string>*>;

// What values a key may take. range, at_least, positive and one_of accept a list when they accept each of its elements;
// not_empty and satisfies judge the list as a whole.
struct KeyCheck {
  std::string allowed;                           // for the help and the errors: "8 to 65536"
  std::function<bool(const KeyValue&)> accepts;  // none: every value of the key's type
};

KeyCheck range(double low, double high);  // both ends included
KeyCheck at_least(double low);
KeyCheck positive();
KeyCheck not_empty();  // a string or list with something in it
KeyCheck one_of(std::vector<std::string> names);

// A predicate of one's own over a value of type T, the type of the key: satisfies<int64_t>("a power of two", is_power_of_two).
template <class T, class Predicate>
KeyCheck satisfies(std::string description, Predicate predicate) {
  return {std::move(description), [predicate](const KeyValue& value) {
            const T* typed = std::get_if<T>(&value);
            return typed && predicate(*typed);
          }};
}

// A list of declared keys. It holds pointers into the structs it fills, which have to outlive it. Names are dotted; a name
// may not be the beginning of another (TORCH_CHECK).
class KeyTable {
 public:
  // Fills *target, whose value at this moment is the default.
  void add(const std::string& name, KeyTarget target, std::string help, KeyCheck check = {});

  // An array of tables, [[name]]: a std::vector<T> or std::deque<T> whose entries are declared by the overload
  // declare(KeyTable&, const std::string& prefix, T&) found beside T. Reading a file replaces the entries; an assignment
  // "name.0.key=value" changes one that is there.
  template <class Entries>
  void add_tables(const std::string& name, Entries* entries, std::string help);

  // Tables under names that the user chooses, [name.ANY]: made when first mentioned.
  template <class T>
  void add_named_tables(const std::string& name, std::map<std::string, T>* entries, std::string help);

  // Reads a document over the present values; keys that it does not mention keep theirs. `file` names it in errors. Throws
  // Error with file and line for what is not TOML, an unknown key (with the nearest known one), a wrong type, and a value
  // that is not allowed; the values read before it stay.
  void read_toml(std::string_view text, const std::string& file);

  // One assignment "key=value" with a value in TOML; for a key of type string, anything else is taken as it stands, so
  // that run.out=runs/a needs no quotes. Throws like read_toml.
  void set(const std::string& assignment);

  // Checks the present values, for structs filled in C++ rather than read. Throws Error.
  void validate() const;

  // One aligned line a key: name, default, what is allowed, help.
  std::string help() const;

  // The present values as a TOML document. Reading it gives the same values exactly, doubles bit for bit.
  std::string to_toml() const;

  std::vector<std::string> names() const;  // of the keys, in order of declaration; groups of tables are left out

  // A key in words; value and default in TOML.
  struct Description {
    std::string name, value, default_value, help;
  };
  std::vector<Description> descriptions() const;  // in order of declaration, without the groups of tables

 private:
  struct Key {
    std::string name;
    KeyTarget target;
    std::string help;
    KeyCheck check;
    std::string default_text;
  };

  // An array of tables (entries "0", "1", ...) or a set of named tables. Tables are declared anew at each use, so entries
  // may move in between.
  struct Group {
    std::string name;
    std::string help;
    bool named;
    std::function<std::vector<std::string>()> entries;
    std::function<KeyTable(const std::string& entry)> open;  // makes the entry when it is missing
    std::function<void()> clear;
    std::function<KeyTable()> blank;  // a default entry, for the help
  };

  enum class Mode { kFile, kAssignment };
  struct Reading;  // where the text comes from

  void add_group(Group group);
  void check_name(const std::string& name) const;
  // `section` is the beginning of names of this table, `prefix` where this table stands in the document: "data.0.".
  void read_section(const TomlNode& node, const std::string& section, const std::string& prefix, const Reading& from);
  void read_key(const Key& key, const TomlNode& node, const std::string& prefix, const Reading& from);
  void read_group(const Group& group, const TomlNode& node, const std::string& prefix, const Reading& from);
  void read_entry(const Group& group, const std::string& entry, const TomlNode& node, const std::string& prefix,
                  const Reading& from);
  [[noreturn]] void refuse_unknown(const std::string& name, const TomlNode& node, const std::string& prefix,
                                   const Reading& from) const;
  bool is_section(const std::string& name) const;
  void collect_help(const std::string& prefix, std::vector<std::vector<std::string>>& rows) const;
  void write_toml(const std::string& prefix, std::string& out) const;
  void validate(const std::string& prefix) const;

  std::vector<Key> keys_;
  std::vector<Group> groups_;
};

template <class Entries>
void KeyTable::add_tables(const std::string& name, Entries* entries, std::string help) {
  using T = typename Entries::value_type;
  const auto blank = std::make_shared<T>();
  const auto of = [](T& entry) {
    KeyTable keys;
    declare(keys, std::string(), entry);
    return keys;
  };
  add_group({name, std::move(help), /*named=*/false,
             [entries] {
               std::vector<std::string> all;
               for (size_t i = 0; i < entries->size(); ++i) all.push_back(std::to_string(i));
               return all;
             },
             [entries, of](const std::string& entry) {
               const size_t index = std::stoull(entry);
               while (entries->size() <= index) entries->emplace_back();
               return of((*entries)[index]);
             },
             [entries] { entries->clear(); }, [blank, of] { return of(*blank); }});
}

template <class T>
void KeyTable::add_named_tables(const std::string& name, std::map<std::string, T>* entries, std::string help) {
  const auto blank = std::make_shared<T>();
  const auto of = [](T& entry) {
    KeyTable keys;
    declare(keys, std::string(), entry);
    return keys;
  };
  add_group({name, std::move(help), /*named=*/true,
             [entries] {
               std::vector<std::string> all;
               for (const auto& [key, entry] : *entries) all.push_back(key);
               return all;
             },
             [entries, of](const std::string& entry) { return of((*entries)[entry]); }, [entries] { entries->clear(); },
             [blank, of] { return of(*blank); }});
}

}  // namespace mugato
